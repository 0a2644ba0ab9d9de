// The current decisions about a queue, those that are not written yet included, and the steps that can be undone.

class Decisions {
  constructor() {
    this.outbox = new Outbox();
    this.written = new Map(); // image -> the decision that the server has
    this.unwritten = new Map(); // image -> the decision made here, as long as the server has not answered
    this.done = []; // what can be undone, oldest first: {uids, changes: [[image, before, after]], at}
    this.undone = [];
    this.seen = 0; // newest entry of the log that is known here
  }

  // Begins with the queue of a review's data.
  begin(data) {
    this.data = data;
    (hub.openedAt ??= {})[data.of] ??= data.upto;
    this.written = new Map();
    // Kept as long as the page is: what was undone together is redone together, whatever was looked at meanwhile.
    const steps = ((hub.steps ??= {})[`${data.of} ${data.queue.number}`] ??= {
      done: data.mine.map((step) => ({
        uids: step.map(({ uid }) => uid), at: data.order.indexOf(step[0].item), changes: step.map(({ item, old, now }) => [item, old, now]),
      })),
      undone: [],
    });
    this.done = steps.done;
    this.undone = steps.undone;
    for (const entry of this.outbox.restore(data.of)) this.restore(entry);
    watchForTwins();
  }

  // The current decision about an image, or null.
  get(image) {
    const current = this.unwritten.has(image) ? this.unwritten.get(image) : this.written.get(image);
    return current?.action ? current : null;
  }

  // decisions: image -> what the server has of it; an older state does not replace a newer one.
  learn(decisions, upto) {
    for (const [id, decision] of Object.entries(decisions)) {
      const known = this.written.get(Number(id));
      if (!known || decision.upto >= known.upto) this.written.set(Number(id), decision);
    }
    this.seen = Math.max(this.seen, upto);
  }

  // What another tab has decided about these images since this page was opened, where it would be changed by this: the
  // decisions, of each image at most one. Two answers that stand already are there to be settled.
  decidedElsewhere(items, action, labels) {
    return items.map((item, i) => {
      const standing = this.unwritten.has(item.id) ? null : this.written.get(item.id);
      if (!standing?.action || standing.conflict?.length || standing.tab === hub.client) return null;
      const now = this.decided(item, action, labels[i]);
      const same = now.action === standing.action && (now.label ?? null) === (standing.label ?? null);
      return same || standing.id <= hub.openedAt[this.data.of] ? null : standing;
    }).filter(Boolean);
  }

  // What a key says of an image: the label that it has already is kept.
  decided(item, action, label) {
    if (action !== "relabel") return { action };
    return label === item.given ? { action: "keep" } : { action, label };
  }

  // One entry an image, all of them undone together. action: keep, relabel (with a label an image), remove or unsure;
  // at: the place they were made at. False where there was nothing to decide.
  add(items, action, labels, reason, at) {
    const changes = [], uids = [], step = uid(4);
    items.forEach((item, i) => {
      if (action === "relabel" && (labels[i] === undefined || labels[i] === null)) return;
      const now = this.decided(item, action, labels[i]);
      changes.push([item.id, this.get(item.id), { ...now, who: this.data.who, tab: hub.client }]);
      uids.push(this.queueEntry({ item: item.id, reason, ...now }, step));
    });
    if (!uids.length) return false;
    for (const [image, , now] of changes) this.unwritten.set(image, now);
    this.done.push({ uids, at, changes });
    this.undone.length = 0;
    this.send();
    return true;
  }

  // Undoes or redoes a step; returns it, or undefined where there is none.
  revise(action) {
    const [from, to, side] = action === "undo" ? [this.done, this.undone, 1] : [this.undone, this.done, 2];
    const step = from.pop();
    if (!step) return undefined;
    const name = uid(4);
    step.uids.forEach((of, i) => {
      const change = step.changes[i];
      this.queueEntry({ item: change[0], action, of }, name);
      this.unwritten.set(change[0], change[side]);
    });
    to.push(step);
    this.send();
    return step;
  }

  // The uid says which tab made it, in which step: see `review_component.step_of`.
  queueEntry(entry, step) {
    const complete = { uid: `${hub.client.slice(0, 12)}-${step}-${uid(4)}`, queue: this.data.queue.number, seen: this.seen, ...entry };
    this.outbox.entries.push(complete);
    return complete.uid;
  }

  // A decision that was made before the page was loaded again: it holds, and can be undone.
  restore({ uid, queue, item, action, label, of }) {
    if (queue !== this.data.queue.number) return;
    if (of) {
      const place = this.done.findIndex((step) => step.uids.includes(of));
      if (action === "undo" && place >= 0) this.done.splice(place, 1);
      return;
    }
    const now = { action, label, who: this.data.who, tab: hub.client };
    if (this.done.every((step) => !step.uids.includes(uid))) {
      this.done.push({ uids: [uid], at: this.data.order.indexOf(item), changes: [[item, this.get(item), now]] });
    }
    this.unwritten.set(item, now);
  }

  send() { this.outbox.send(this.data.of, this.seen); }

  // Whether the server has become late, or has caught up; what nobody answers is sent again.
  resendIfLate() { return this.outbox.resendIfLate(this.data.of, this.seen); }

  // Drops what is written. Returns the milliseconds since it was sent, or null where none of it was here.
  acknowledge(uids) {
    const roundTrip = this.outbox.acknowledge(this.data.of, uids);
    if (roundTrip !== null) {
      const waiting = new Set(this.outbox.entries.map((entry) => entry.item));
      for (const image of [...this.unwritten.keys()]) if (!waiting.has(image)) this.unwritten.delete(image);
    }
    if (this.outbox.length && !this.outbox.inFlightSince) this.send();
    return roundTrip;
  }
}

