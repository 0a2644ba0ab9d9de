// The audit's post: carries decisions from the deck (audit.js) to the server, and brings back what is written. A component
// of its own, because an answer holds its component's whole text: this one is short, and an answer quick.

export default function ({ data, setStateValue }) {
  const hub = (window.lineupAudit ??= {});
  hub.send = (value) => setStateValue("outbox", value);
  hub.heard = data;
  hub.deck?.hear(data);
  return () => { hub.send = hub.heard = null; };
}
