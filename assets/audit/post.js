// The audit's post: carries decisions from the review (review.js) to the server, and brings back what is written. A component
// of its own, because an answer holds its component's whole text: this one is short, and an answer quick.

const RESEND_AFTER_MS = 2500;

export default function ({ data, setStateValue }) {
  const hub = (window.lineupAudit ??= {});
  const send = hub.send = (value) => setStateValue("outbox", value);
  hub.sendRest = () => sendRest(hub, data);
  hub.answer = data;
  if (hub.review) hub.review.hear(data);
  else hub.sendRest();
  return () => {
    if (hub.send !== send) return; // the post of the next view is there already
    clearTimeout(hub.restTimer);
    hub.send = hub.sendRest = hub.answer = null;
  };
}

// Sends what a review that is no longer drawn had not sent, or not heard of: outbox.js keeps it over a reload. It is sent
// again until it is answered: a message that meets the change of views can be dropped. What the server refuses to write
// is tried again with the next review.
function sendRest(hub, data) {
  clearTimeout(hub.restTimer);
  if (hub.review) return; // it sends for itself
  try {
    const kept = JSON.parse(sessionStorage.getItem("lineup.audit") || "null");
    if (!kept || kept.of !== data.of) return;
    const written = new Set(data.acked);
    kept.pending = kept.pending.filter((entry) => !written.has(entry.uid));
    sessionStorage.setItem("lineup.audit", JSON.stringify(kept));
    const last = kept.pending.at(-1)?.uid;
    const sent = hub.rest?.last === last;
    if (!last || (sent && data.error)) return;
    hub.restTimer = setTimeout(() => hub.sendRest?.(), RESEND_AFTER_MS);
    if (sent && Date.now() - hub.rest.at < RESEND_AFTER_MS) return;
    hub.rest = { last, at: Date.now() };
    hub.send({ n: hub.rest.at, client: kept.client, seen: data.upto, entries: kept.pending });
  } catch { /* a browser that keeps nothing */ }
}
