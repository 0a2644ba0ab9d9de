// The audit's post: carries decisions from the review (review.js) to the server, and brings back what is written. A component
// of its own, because an answer holds its component's whole text: this one is short, and an answer quick.

export default function ({ data, setStateValue }) {
  const hub = (window.lineupAudit ??= {});
  hub.send = (value) => setStateValue("outbox", value);
  hub.sendRest = () => sendRest(hub, data);
  hub.answer = data;
  if (hub.review) hub.review.hear(data);
  else hub.sendRest();
  return () => { hub.send = hub.sendRest = hub.answer = null; };
}

// Sends what a review that is no longer drawn had not sent, or not heard of: outbox.js keeps it over a reload.
function sendRest(hub, data) {
  try {
    const kept = JSON.parse(sessionStorage.getItem("lineup.audit") || "null");
    if (!kept || kept.of !== data.of) return;
    const written = new Set(data.acked);
    kept.pending = kept.pending.filter((entry) => !written.has(entry.uid));
    sessionStorage.setItem("lineup.audit", JSON.stringify(kept));
    const last = kept.pending.at(-1)?.uid;
    if (!last || hub.rest === last) return; // sent once: what cannot be written is tried again with the review
    hub.rest = last;
    hub.send({ n: Date.now(), client: kept.client, seen: data.upto, entries: kept.pending });
  } catch { /* a browser that keeps nothing */ }
}
