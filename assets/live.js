// Asks the server what a head says while the cut is dragged, and draws each row's margin against k.
// One question of a kind is under way at a time; what was asked meanwhile is asked next, the latest alone.

const CURVE = { width: 164, height: 24 };

class Live {
  constructor(strip) {
    this.strip = strip;
    this.verdicts = [];
    this.curves = [];
  }

  // what: of `data.live`, null where the model is no head
  follow(what) {
    const about = JSON.stringify(what);
    if (about === this.about) return this.redraw();
    this.about = about;
    this.what = what;
    this.verdicts = [];
    this.curves = [];
    this.k = null;
    if (!what) return;
    this.cut(this.strip.cut);
    what.rows.forEach((row, i) => this.ask("curve", { rows: JSON.stringify([row]) }, about).then((answer) => {
      if (answer && this.about === about) { this.curves[i] = answer.rows[0]; this.redraw(i); }
    }));
  }

  async cut(k) {
    if (!this.what || k === null || k === this.k) return;
    this.k = k;
    if (this.asking) return;
    this.asking = true;
    try {
      let asked;
      do {
        asked = this.k;
        const about = this.about, start = performance.now();
        const answer = await this.ask("cut", { k: asked, rows: JSON.stringify(this.what.rows) }, about);
        if (!this.what) return;
        if (answer && this.about === about) {
          this.verdicts = answer.rows.map((row) => ({ ...row, k: asked }));
          this.strip.root.dataset.verdictMs = Math.round(performance.now() - start);
          this.redraw();
        }
      } while (asked !== this.k);
    } finally {
      this.asking = false;
    }
  }

  async ask(kind, more, about) {
    const query = new URLSearchParams({ model: this.what.model, target: this.what.target, ...more });
    try {
      const answer = await fetch(`${this.what.url}/${kind}?${query}`, { credentials: "same-origin" });
      const said = await answer.json();
      if (answer.ok) return said;
      if (about === this.about) this.failed = said.error;
    } catch { /* a server without these routes, or none any more: the rows stay as they are */ }
    return null;
  }

  redraw(only) {
    this.strip.root.querySelectorAll(".live").forEach((place) => {
      const i = Number(place.dataset.live);
      if (only === undefined || only === i) this.draw(place, i);
    });
  }

  draw(place, i) {
    const verdict = this.verdicts[i], curve = this.curves[i], what = this.what;
    if (!what) return place.replaceChildren();
    const text = make("span", "verdict");
    if (verdict) {
      const flipped = verdict.predicted !== what.label;
      text.classList.toggle("flipped", flipped);
      text.append(`without ${verdict.k}: `, make("b", "", what.classes[verdict.predicted]), ` ${signed(verdict.margin)}`);
    } else text.textContent = this.failed || "…";
    place.replaceChildren(text, ...(curve ? [this.picture(curve, verdict)] : []));
  }

  picture(curve, verdict) {
    const { width, height } = CURVE, last = curve.foretold.length - 1;
    const all = [...curve.foretold, ...curve.refitted.map((point) => point[1]), 0];
    const top = Math.max(...all), bottom = Math.min(...all), span = top - bottom || 1;
    const x = (k) => 2 + (k / Math.max(1, last)) * (width - 4), y = (m) => 2 + ((top - m) / span) * (height - 4);
    const svg = vector("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
    const flips = curve.flip ? `flips at ${curve.flip} images, and not at ${curve.flip - 1}` : `no flip within ${last} images`;
    svg.setAttribute("aria-label", `margin against the number of images removed: ${flips}`);
    const title = vector("title", {});
    title.textContent = `margin against k: dots are refitted, the line is foretold by influence; ${flips}`;
    svg.append(title, vector("line", { class: "zero", x1: 0, x2: width, y1: y(0), y2: y(0) }));
    svg.append(vector("polyline", { class: "foretold", points: curve.foretold.map((m, k) => `${x(k)},${y(m)}`).join(" ") }));
    curve.refitted.forEach(([k, m]) => svg.append(vector("circle", { class: m < 0 ? "below" : "above", cx: x(k), cy: y(m), r: 2 })));
    if (curve.flip) svg.append(vector("line", { class: "flip", x1: x(curve.flip), x2: x(curve.flip), y1: 0, y2: height }));
    if (verdict && verdict.k <= last) {
      svg.append(vector("line", { class: "now", x1: x(verdict.k), x2: x(verdict.k), y1: 0, y2: height }));
    }
    return svg;
  }
}

function signed(number) { return (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2); }

function vector(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
