// Decisions that are not written yet, oldest first. They are sent until the server acknowledges them, and kept in
// sessionStorage, so that a reload of the page loses none. post.js does the sending; they meet in window.lineupAudit.

const RESEND_MS = 2500; // without an answer, decisions are sent again
const KEPT_UNDER = "lineup.audit"; // post.js reads it, too
const hub = (window.lineupAudit ??= {});

class Outbox {
  constructor() {
    this.entries = [];
    this.count = 0;
    this.inFlightSince = 0; // 0: nothing waits for an answer
    this.late = false; // whether the server has not answered for long
  }

  get length() { return this.entries.length; }

  // The name of this tab: kept over a reload, and no other tab's.
  get client() { return hub.client; }

  // Sends all that is not written. While an answer is out, more is collected; it goes with the next one.
  // dataset: fingerprint of the data; seen: the newest entry of the log that is known here.
  send(dataset, seen, again = false) {
    this.keep(dataset);
    if (!hub.send || (this.inFlightSince && !again)) return;
    this.inFlightSince = Date.now();
    if (!again) {
      this.sentAt = performance.now();
      this.waitingSince = this.inFlightSince;
    }
    hub.send({ n: ++this.count, client: this.client, seen, entries: this.entries });
  }

  // Sends again what nobody answers. Returns whether the server has become late, or has caught up.
  resendIfLate(dataset, seen) {
    const late = this.entries.length > 0 && this.waitingSince && Date.now() - this.waitingSince > RESEND_MS;
    if (late && Date.now() - this.inFlightSince > RESEND_MS) this.send(dataset, seen, true);
    const changed = late !== this.late;
    this.late = late;
    return changed;
  }

  // Drops what is written. Returns the milliseconds since it was sent, or null where none of it was here.
  acknowledge(dataset, uids) {
    const written = new Set(uids);
    if (!this.entries.some((entry) => written.has(entry.uid))) return null;
    this.entries = this.entries.filter((entry) => !written.has(entry.uid));
    this.inFlightSince = 0;
    this.keep(dataset);
    return Math.round(performance.now() - this.sentAt);
  }

  keep(dataset) {
    try {
      sessionStorage.setItem(KEPT_UNDER, JSON.stringify({ of: dataset, client: this.client, pending: this.entries }));
    } catch { /* a browser that keeps nothing */ }
  }

  // Takes back what an earlier page kept; returns those entries.
  restore(dataset) {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT_UNDER) || "null");
      if (!kept || kept.of !== dataset) return [];
      if (!hub.named) hub.client = kept.client;
      hub.named = true;
      const here = new Set(this.entries.map((entry) => entry.uid));
      const restored = kept.pending.filter((entry) => !here.has(entry.uid));
      this.entries = [...restored, ...this.entries];
      return restored;
    } catch { return []; /* the same */ }
  }
}

// So many bytes by chance, in hex.
function uid(bytes = 12) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

hub.client ??= uid();

// A tab that was duplicated has copied what the other one keeps, its name included: the younger of two takes another.
function watchForTwins() {
  if (hub.twins || !window.BroadcastChannel) return;
  const born = performance.timeOrigin;
  hub.twins = new BroadcastChannel(KEPT_UNDER);
  const tell = () => hub.twins.postMessage({ client: hub.client, born });
  hub.twins.onmessage = ({ data }) => {
    if (data.client !== hub.client) return;
    if (data.born > born) tell();
    else {
      hub.client = uid();
      hub.review?.draw(); // the other one is another tab now
    }
  };
  tell();
}

