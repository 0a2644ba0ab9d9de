// Rows of targets that are likely to come next, fetched before they are chosen: they are on view at once, and the page,
// which follows, says the same. One for all strips of a page.

const NEAR_MS = 60; // a pointer that rests so long on a target may be about to choose it
const HOLD_MS = 4000; // longer than the page takes to follow; if it does not, the rows of before come back
const KEPT = 60; // targets

class Ahead {
  constructor() { this.known = new Map(); }

  // strip: the one that shows a target's rows; address: where those of others are, null if nowhere
  follow(strip, address) {
    this.strip = strip;
    if (address === this.address) return;
    this.address = address;
    this.known.clear();
    this.near(this.likely);
  }

  // Fetches the rows of a target that may be next.
  near(target) {
    clearTimeout(this.wait);
    this.likely = target;
    if (typeof target === "number") this.wait = setTimeout(() => this.fetch(target), NEAR_MS);
  }

  async fetch(target) {
    const { address } = this;
    if (!address || this.known.has(target)) return;
    if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value);
    this.known.set(target, null);
    let rows = null;
    try {
      const answer = await fetch(new URL(`${address}/${target}`, document.baseURI));
      if (answer.ok) rows = await answer.json();
    } catch { /* the server is gone, which the page says */ }
    if (address !== this.address) return;
    if (!rows) return this.known.delete(target);
    this.known.set(target, rows);
    new Image().src = new URL(rows.atlas.url, document.baseURI).href; // so that the browser has it, too
  }

  // Shows the rows of a target that was just chosen, if they are here.
  show(target) {
    const rows = this.known.get(target);
    if (rows && this.strip.root.isConnected) this.strip.drawAhead(rows);
  }
}

const ahead = new Ahead();
