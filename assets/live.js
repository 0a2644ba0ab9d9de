// Asks the server what a head says while the cut is dragged, and draws each row's margin against k.
// One question of a kind is under way at a time; what was asked meanwhile is asked next, the latest alone.

const CURVE_HEIGHT = 30;

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
    this.redraw();
    this.cut(this.strip.cut);
    this.drawCurves(what.rows, about);
  }

  // One after the other, as the solver answers them: a browser asks a server six things at once, and pictures are others.
  async drawCurves(rows, about) {
    for (let i = 0; i < rows.length && this.about === about; i++) {
      const answer = await this.ask("curve", { rows: JSON.stringify([rows[i]]) }, about);
      if (answer && this.about === about) { this.curves[i] = answer.rows[0]; this.redraw(i); }
    }
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
      if (only === undefined || only === i) this.say(place, this.verdicts[i]);
    });
    this.strip.root.querySelectorAll(".curve").forEach((place) => {
      const i = Number(place.dataset.curve), curve = this.curves[i];
      if (only === undefined || only === i) place.replaceChildren(...(curve ? this.picture(curve) : []));
    });
  }

  say(place, verdict) {
    place.textContent = verdict ? "" : this.failed || "…";
    if (!verdict) return;
    place.classList.toggle("flipped", verdict.predicted !== this.what.label);
    place.append(`without ${verdict.k}: `, make("b", "", this.what.classes[verdict.predicted]), ` ${signed(verdict.margin)}`);
    place.title = "refitted without the images left of the cut: the class, and its margin in logits";
  }

  // The margin without the top k images, drawn beneath them: k lies where the cut after rank k lies.
  picture(curve) {
    const pitch = this.strip.pitch, shown = Math.min(this.strip.data.cut.shown, curve.foretold.length - 1);
    const width = this.strip.data.cut.shown * pitch, foretold = curve.foretold.slice(0, shown + 1);
    const refitted = curve.refitted.filter((point) => point[0] <= shown), last = curve.foretold.length - 1;
    const all = [...foretold, ...refitted.map((point) => point[1]), 0];
    const top = Math.max(...all), span = top - Math.min(...all) || 1;
    const x = (k) => k * pitch, y = (margin) => 3 + ((top - margin) / span) * (CURVE_HEIGHT - 6);
    const svg = vector("svg", { width, height: CURVE_HEIGHT, viewBox: `0 0 ${width} ${CURVE_HEIGHT}`, role: "img" });
    const flips = curve.flip ? `flips at ${curve.flip}` : curve.refitted[0][1] < 0 ? "wrong from the start" : `no flip within ${last}`;
    svg.setAttribute("aria-label", `margin without the top k images: ${flips}`);
    const title = vector("title", {});
    title.textContent = `margin without the top k images; dots are refitted, the line is predicted by influence; ${flips}` +
      (curve.flip ? `, and not at ${curve.flip - 1}` : "");
    svg.append(title, vector("line", { class: "zero", x1: 0, x2: x(shown), y1: y(0), y2: y(0) }));
    svg.append(vector("polyline", { class: "foretold", points: foretold.map((m, k) => `${x(k)},${y(m)}`).join(" ") }));
    refitted.forEach(([k, m]) => svg.append(vector("circle", { class: m < 0 ? "below" : "above", cx: x(k), cy: y(m), r: 3 })));
    const inView = curve.flip && curve.flip <= shown;
    if (inView) svg.append(vector("line", { class: "flip", x1: x(curve.flip), x2: x(curve.flip), y1: 0, y2: CURVE_HEIGHT }));
    const words = make("span", "flips" + (curve.flip ? " some" : ""), inView || !curve.flip ? flips : flips + " →");
    words.style.left = (inView ? x(curve.flip) + 6 : 6) + "px";
    return [svg, words];
  }
}

function signed(number) { return (number < 0 ? "−" : "+") + Math.abs(number).toFixed(2); }

function vector(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
