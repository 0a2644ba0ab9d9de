// Draws rows of image tiles; pages/ui/tile_strip.py documents the data and the events.
// Whatever comes from data is written with textContent or setAttribute, never as HTML.

const HOVER_MS = 350; // a sweep over the rows shows the cross-row highlight only; resting on a tile shows it large
const SEND_MS = 250; // arrow keys on the cut send once they pause
const TOP = 64; // Streamlit's own bar lies over everything above this
const COLUMNS = 16; // a larger picture is taken only where so many fit
const FRAME = 4; // both sides of a tile's frame
const LINE = 12; // of a caption or a score
const CLICK = 4; // pixels that the pointer may move before a press becomes a drag
const EDGE = 28; // pixels from the strip's edge within which a drag scrolls
const SMALLEST = 9.5; // pixels: the type of a caption that is too long for its tile
const DRAG_HINT = "Drag to change how many images are removed";
const TYPING = "input, textarea, select, [contenteditable=true]"; // where a letter is a letter
const mounted = new WeakMap();

export default function (component) {
  const { parentElement, data } = component;
  let view = mounted.get(parentElement);
  if (!view) {
    view = new Strip(parentElement);
    mounted.set(parentElement, view);
  }
  view.send = component.setTriggerValue;
  view.told(data);
  return () => view.close();
}

const widths = new Map();
let pen = null;

// How wide a text is, in parts of its type's size.
function textWidth(text, isBold, node) {
  const key = `${isBold} ${text}`;
  if (!widths.has(key)) {
    pen ??= document.createElement("canvas").getContext("2d");
    pen.font = `${isBold ? 650 : 400} 100px ${getComputedStyle(node).fontFamily}`;
    widths.set(key, pen.measureText(text).width / 100);
  }
  return widths.get(key);
}

class Strip {
  constructor(parent) {
    this.picture = make("style"); // the one rule that holds the atlas
    this.root = make("div", "strip");
    this.live = new Live(this);
    this.zoom = make("div", "zoom");
    this.zoom.setAttribute("aria-hidden", "true");
    parent.append(this.picture, this.root, this.zoom);
    this.focus = { row: 0, rank: 0 };
    this.root.addEventListener("pointerover", (e) => this.over(e));
    this.root.addEventListener("pointerleave", () => this.leave());
    this.root.addEventListener("click", (e) => this.click(e));
    this.root.addEventListener("keydown", (e) => this.key(e));
    this.root.addEventListener("focusin", (e) => this.focused(e));
    this.root.addEventListener("focusout", () => this.leave());
    this.root.addEventListener("pointerdown", (e) => this.grab(e));
    this.scrolled = () => this.hideZoom();
    window.addEventListener("scroll", this.scrolled, { passive: true, capture: true });
    this.resized = new ResizeObserver(() => this.fitWidth());
    this.resized.observe(this.root);
    this.travelled = (e) => this.travel(e);
    window.addEventListener("keydown", this.travelled, { capture: true });
    window.addEventListener("click", this.travelled, { capture: true });
  }

  close() {
    clearTimeout(this.wait);
    clearTimeout(this.timer);
    clearTimeout(this.hold);
    this.resized.disconnect();
    window.removeEventListener("scroll", this.scrolled, { capture: true });
    window.removeEventListener("keydown", this.travelled, { capture: true });
    window.removeEventListener("click", this.travelled, { capture: true });
  }

  // -- drawing

  // What the page says. Until it follows to rows that are drawn ahead, what it said before is no news.
  told(data) {
    const words = JSON.stringify(data);
    if (this.isAhead && words === this.toldWords) return;
    this.toldWords = words;
    this.lastTold = data;
    this.isAhead = false;
    clearTimeout(this.hold);
    if (data.ahead !== undefined) ahead.follow(this, data.ahead);
    this.draw(data);
    if (data.way) ahead.near(data.way[1]);
  }

  // Rows of a target that was chosen just now.
  drawAhead(rows) {
    this.isAhead = true;
    this.draw(rows);
    clearTimeout(this.hold);
    this.hold = setTimeout(() => {
      this.isAhead = false;
      this.draw(this.lastTold);
    }, HOLD_MS);
  }

  draw(data) {
    this.resized.observe(this.root);
    const said = JSON.stringify({ ...data, selected: null, way: null });
    if (said === this.said) return this.again(data);
    this.said = said;
    const before = this.data;
    const focused = this.root.getRootNode().activeElement;
    const hadFocus = focused && this.root.contains(focused) ? (focused.dataset.part || "tile") : null;
    const left = this.scroller ? this.scroller.scrollLeft : 0;
    this.data = data;
    this.root.classList.toggle("present", Boolean(data.present));
    this.scale = this.fittingScale();
    this.root.classList.toggle("large", this.scale > data.scale);
    this.pitch = this.pitchAt(this.scale);
    if (!before || before.atlas.url !== data.atlas.url) this.picture.textContent = pictureRule("pic", data.atlas.url);
    // Keep a cut that is being moved: what arrives now was computed for an earlier place.
    if (!data.cut) this.cut = null;
    else if (!this.dragging && !this.timer) this.cut = data.cut.k;
    this.hideZoom();
    this.tiles = [];
    const inner = make("div", "inner " + data.layout);
    inner.style.setProperty("--pitch", this.pitch + "px");
    inner.style.setProperty("--pic", data.atlas.width * this.scale + "px");
    inner.style.setProperty("--row", this.rowHeight() + "px");
    if (data.axis) inner.append(this.axis());
    data.rows.forEach((row, index) => inner.append(this.row(row, index)));
    if (this.cut !== null) this.addCut(inner);
    this.scroller = make("div", "scroll");
    this.scroller.append(inner);
    this.scroller.addEventListener("scroll", () => this.placeEdge(), { passive: true });
    this.inner = inner;
    this.status = make("div", "status", data.footnote || "");
    this.edge = make("button", "edge");
    this.edge.type = "button";
    this.edge.tabIndex = -1; // the cut itself is reached by keyboard
    this.edge.title = DRAG_HINT;
    this.edgeText = make("span");
    this.edge.append(this.edgeText, make("span", "grip"));
    this.root.replaceChildren(this.scroller, this.edge, ...(data.footnote === undefined ? [] : [this.status]));
    this.root.dataset.of = data.of ?? "";
    this.placeCut();
    if (left) this.scroller.scrollLeft = left; // to set it has the whole page laid out at once
    this.clampFocus();
    this.live.follow(data.live || null);
    if (hadFocus === "tile") this.tileAt(this.focus)?.focus({ preventScroll: true });
    else if (hadFocus) this.root.querySelector(`[data-part="${CSS.escape(hadFocus)}"]`)?.focus({ preventScroll: true });
    const shown = (drawn) => JSON.stringify([drawn.selected, drawn.layout, drawn.rows[0]?.tiles[0]?.id]);
    if (!before || shown(before) !== shown(data)) this.showSelected();
  }

  // The same data once more, but for the selection: only what the page was told in vain is put back.
  again(data) {
    const before = this.data;
    this.data = data;
    this.select(data.selected);
    if (before.selected !== data.selected) this.showSelected();
    if (!data.cut || this.dragging || this.timer || this.cut === data.cut.k) return;
    this.cut = data.cut.k;
    this.placeCut();
    this.live.cut(this.cut);
  }

  // -- sizes

  pitchAt(scale) { return Math.max(this.data.atlas.width * scale + FRAME + 2, this.data.pitch || 0); }

  // One size more for a room full of people, where the first columns still fit.
  fittingScale() {
    const { scale, present } = this.data;
    const head = 270, wide = this.room()?.clientWidth || this.root.clientWidth;
    return present && head + COLUMNS * this.pitchAt(scale + 1) <= wide ? scale + 1 : scale;
  }

  // What holds the strip's element: it keeps its width while the drawer makes the strip narrower.
  room() { return this.root.parentNode.host?.closest("[class*=st-key-]")?.parentElement; }

  // After the strip became narrower or wider: what is selected stays in view.
  fitWidth() {
    if (!this.scroller || this.scroller.clientWidth === this.width) return;
    this.width = this.scroller.clientWidth;
    this.placeEdge();
    const here = this.tileAt(this.focus);
    const selected = here?.ariaSelected === "true" ? here : this.inner.querySelector(".tile[aria-selected=true]");
    if (selected) this.reveal(selected);
  }

  // The same for every row, whatever it says, so that nothing jumps.
  rowHeight() {
    const { atlas, rows, present } = this.data;
    const scored = rows.some((row) => row.tiles.some((tile) => tile.score !== undefined));
    const line = present ? LINE + 4 : LINE;
    const tile = atlas.height * this.scale + FRAME + line + (scored ? line : 0);
    const named = rows.some((row) => row.name !== undefined) ? (present ? 92 : 72) : 0;
    return Math.max(tile, named);
  }

  axis() {
    const line = make("div", "row axis");
    line.append(make("div", "head", this.data.axis));
    const ranks = make("div", "ranks");
    ranks.setAttribute("aria-hidden", "true");
    const longest = Math.max(0, ...this.data.rows.map((row) => row.tiles.length));
    for (let rank = 1; rank <= longest; rank++) {
      const cell = make("span", "rank", String(rank));
      if (this.data.cut) { cell.dataset.cut = rank; cell.title = `cut after ${rank}`; }
      ranks.append(cell);
    }
    line.append(ranks);
    return line;
  }

  row(row, index) {
    const line = make("div", "row" + (row.sign === "-" ? " harmful" : row.sign === "+" ? " helpful" : "") +
      (row.chosen ? " chosen" : "") + (row.tiles.length ? "" : " bare") + (row.live === undefined ? "" : " lively"));
    if (row.name !== undefined) line.append(row.trust ? this.side(row) : this.head(row));
    if (!row.tiles.length) {
      line.append(make("div", "none", row.empty || ""));
      if (row.action) line.append(this.action(row));
      return line;
    }
    const list = make("div", "tiles");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-orientation", "horizontal");
    list.setAttribute("aria-label", row.label || row.name || "");
    const nodes = row.tiles.map((tile, rank) => this.tile(row, index, tile, rank));
    list.append(...nodes);
    if (row.support && row.support.k && row.support.k <= row.tiles.length) {
      const mark = make("span", "support");
      mark.style.left = `calc(${row.support.k} * var(--pitch))`;
      mark.title = row.support.text;
      list.append(mark);
    }
    this.tiles[index] = nodes;
    if (row.live === undefined) {
      line.append(list);
      return line;
    }
    const lane = make("div", "lane"), curve = make("div", "curve");
    curve.dataset.curve = row.live;
    lane.append(list, curve);
    line.append(lane);
    return line;
  }

  // The button of a row without tiles: once clicked it waits for the page.
  action(row) {
    const button = make("button", "act", row.action.text);
    button.type = "button";
    button.title = row.action.title;
    button.dataset.part = "act " + row.id;
    button.addEventListener("click", () => { button.disabled = true; this.send("act", { row: row.id, of: this.data.of }); });
    return button;
  }

  head(row) {
    const head = make(row.choose ? "button" : "div", "head");
    if (row.choose) {
      head.type = "button";
      head.dataset.choose = row.id;
      head.dataset.part = "head " + row.id;
      head.setAttribute("aria-pressed", String(Boolean(row.chosen)));
    }
    const title = make("span", "title");
    if (row.colour) {
      const swatch = make("span", "swatch");
      swatch.style.backgroundColor = row.colour;
      title.append(swatch);
    }
    title.append(make("b", "", row.name));
    const sign = [row.sign && (row.sign === "-" ? "−" : "+"), row.sign_text].filter(Boolean).join(" ");
    if (sign) title.append(make("span", "sign", sign));
    head.append(title, make("span", "about", row.about || ""));
    const classes = (row.mix || []).map((part) => `${part.count} ${part.text}`).join(", ");
    if (classes) head.append(this.mix(row.mix, classes));
    const notes = [...(row.notes || [])], note = make("span", "note");
    if (row.support) note.append(make("b", "measured", row.support.text), notes.length ? " · " : "");
    note.append(notes.join(" · "));
    head.append(note);
    if (row.live !== undefined) {
      const place = make("span", "live");
      place.dataset.live = row.live;
      head.append(place);
    }
    // What is cut off, and what has no room.
    head.title = [row.choose, row.about, classes && "classes: " + classes, ...notes, row.support && row.support.text,
      ...(row.details || [])].filter(Boolean).join("\n");
    return head;
  }

  // The header and, beneath it, how far the row can be trusted: a button of its own, which opens the details.
  side(row) {
    const side = make("div", "side"), trust = make("button", "trust");
    trust.type = "button";
    trust.dataset.trust = row.id;
    trust.dataset.part = "trust " + row.id;
    trust.title = row.trust.details;
    trust.setAttribute("aria-label", `${row.short || row.name}, how far to trust this row: ${row.trust.details}`);
    trust.append(make("span", "level " + row.trust.level), make("span", "said", row.trust.text));
    side.append(this.head(row), trust);
    return side;
  }

  mix(parts, words) {
    const bar = make("span", "mix");
    for (const part of parts) {
      const piece = make("span", part.same ? "same" : "other");
      piece.style.flexGrow = part.count;
      bar.append(piece);
    }
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", "classes: " + words);
    return bar;
  }

  tile(row, index, tile, rank) {
    const node = make("div", "tile" + (tile.mark ? " differs" : ""));
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", String(tile.id === this.data.selected));
    node.setAttribute("aria-label", (this.data.axis ? `rank ${rank + 1}: ` : "") +
      [tile.text, tile.mark, tile.flag].filter(Boolean).join(", "));
    node.tabIndex = -1;
    node.dataset.row = index;
    node.dataset.rank = rank;
    const frame = make("span", "frame");
    frame.append(pic(this.data.atlas, tile.at, this.scale));
    if (tile.flag) frame.append(make("span", "flag", "!"));
    node.append(frame);
    const caption = tile.mark || tile.caption;
    if (caption !== undefined) node.append(this.caption(caption, Boolean(tile.mark)));
    if (tile.score !== undefined) node.append(make("span", "score", tile.score));
    return node;
  }

  // A caption that is too long for its tile is set smaller, as far as it can be read, and has its text as a tooltip.
  caption(text, isMark) {
    const node = make("span", "caption", text), usual = 11 * (this.root.classList.contains("large") ? 1.3 : 1);
    const room = (this.pitch - (this.data.layout === "rows" ? 6 : 2)) / textWidth(text, isMark, this.root);
    if (room >= usual) return node;
    node.style.fontSize = `${Math.max(SMALLEST, Math.floor(room * 4) / 4)}px`;
    node.title = text;
    return node;
  }

  // -- the cut

  addCut(inner) {
    this.band = make("div", "band");
    this.line = make("div", "cut");
    this.line.dataset.part = "cut";
    this.line.tabIndex = 0;
    this.line.setAttribute("role", "slider");
    this.line.setAttribute("aria-label", "the cut: how many training images of each row are removed");
    this.line.setAttribute("aria-valuemin", "1");
    this.line.setAttribute("aria-valuemax", String(this.data.cut.max));
    this.line.title = DRAG_HINT;
    this.knob = make("span", "knob");
    this.knobText = make("span");
    this.knob.append(this.knobText, make("span", "grip"));
    this.line.append(this.knob);
    inner.append(this.band, this.line);
  }

  placeCut() {
    if (this.cut === null) return;
    const shown = this.data.cut.shown;
    const column = Math.min(this.cut, shown);
    const origin = this.origin();
    this.band.style.left = origin + "px";
    this.band.style.width = column * this.pitch + "px";
    this.line.style.left = origin + column * this.pitch + "px";
    this.knobText.textContent = this.cut > shown ? `k = ${this.cut} →` : `k = ${this.cut}`;
    this.line.setAttribute("aria-valuenow", String(this.cut));
    this.line.setAttribute("aria-valuetext", `${this.cut} training images`);
    this.inner.querySelectorAll(".rank").forEach((cell, i) => cell.classList.toggle("in", i < column));
    this.placeEdgeSoon();
  }

  // Where the first column begins. It is measured once for a size of the window: that lays the whole page out.
  origin() {
    const size = [window.innerWidth, window.innerHeight, this.data.present].join();
    if (this.measuredAt !== size || !this.begins) {
      this.begins = this.inner.querySelector(".ranks, .tiles")?.offsetLeft || 0;
      this.measuredAt = size;
    }
    return this.begins;
  }

  // In the next frame, when the page is laid out anyway.
  placeEdgeSoon() {
    cancelAnimationFrame(this.edgeWaits);
    this.edgeWaits = requestAnimationFrame(() => this.root.isConnected && this.placeEdge());
  }

  // A cut that is scrolled out of view leaves its tag at the edge: a drag takes the cut from there, a click brings it
  // into view.
  placeEdge() {
    if (this.cut === null) return this.edge.classList.remove("shown");
    const view = this.scroller.getBoundingClientRect(), x = this.line.getBoundingClientRect().left;
    const head = this.headWidth();
    const before = x < view.left + head - 8, after = x > view.right - 8;
    this.edge.classList.toggle("shown", before || after);
    this.edgeText.textContent = before ? `← k = ${this.cut}` : `k = ${this.cut} →`;
    this.edge.style.left = before ? head + "px" : "auto";
    this.edge.style.right = before ? "auto" : "0";
  }

  moveCut(k, now) {
    const most = this.dragging || now ? this.data.cut.shown : this.data.cut.max;
    this.cut = Math.max(1, Math.min(most, k));
    this.placeCut();
    this.live.cut(this.cut);
    clearTimeout(this.timer);
    this.timer = null;
    if (this.dragging) return;
    if (now) this.sendCut();
    else this.timer = setTimeout(() => { this.timer = null; this.sendCut(); }, SEND_MS);
  }

  sendCut() {
    if (this.data.cut && this.cut !== this.data.cut.k) this.send("cut", this.cut);
  }

  // Takes hold of the cut: of its line, its tag, or the tag at the edge.
  grab(event) {
    const handle = event.target.closest(".cut, .edge");
    if (!this.data.cut || event.button !== 0 || !handle) return;
    event.preventDefault();
    this.hideZoom();
    this.line.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
    handle.classList.add("held");
    const start = this.pointer = event.clientX;
    const move = (e) => {
      this.pointer = e.clientX;
      if (this.dragging || Math.abs(e.clientX - start) < CLICK) return;
      this.dragging = true;
      this.follow();
    };
    const drop = () => {
      ended.abort();
      handle.classList.remove("held");
      if (this.dragging) {
        this.cutAtPointer();
        this.dragging = false;
        this.sendCut();
      } else if (handle === this.edge) this.bringCutIntoView();
      this.placeEdge();
    };
    const ended = new AbortController(); // on the window: the page may draw the strip anew meanwhile
    window.addEventListener("pointermove", move, { signal: ended.signal });
    window.addEventListener("pointerup", drop, { signal: ended.signal });
    window.addEventListener("pointercancel", drop, { signal: ended.signal });
  }

  // The cut goes where the pointer is; at the strip's edge the columns scroll on beneath it.
  follow() {
    if (!this.dragging || !this.root.isConnected) return;
    const view = this.scroller.getBoundingClientRect(), head = this.headWidth();
    if (this.pointer > view.right - EDGE) this.scroller.scrollLeft += 6;
    else if (this.pointer < view.left + head + EDGE) this.scroller.scrollLeft -= 6;
    this.cutAtPointer();
    requestAnimationFrame(() => this.follow());
  }

  cutAtPointer() {
    const origin = this.inner.querySelector(".ranks, .tiles").getBoundingClientRect().left;
    const k = Math.max(1, Math.min(this.data.cut.shown, Math.round((this.pointer - origin) / this.pitch)));
    if (k !== this.cut) this.moveCut(k);
  }

  bringCutIntoView() {
    const view = this.scroller.getBoundingClientRect(), x = this.line.getBoundingClientRect().left;
    if (x > view.right - 8) this.scroller.scrollLeft += x - view.right + 40;
    else this.scroller.scrollLeft += x - view.left - this.headWidth() - this.pitch;
  }

  headWidth() { return this.inner.querySelector(".side, .head")?.offsetWidth || 0; }

  // -- pointing and choosing

  tileAt({ row, rank }) { return this.tiles[row]?.[rank]; }

  place(node) { return { row: Number(node.dataset.row), rank: Number(node.dataset.rank) }; }

  over(event) {
    const node = event.target.closest?.(".tile");
    if (!node || this.dragging) return this.leave();
    this.point(node);
    this.near(node);
    clearTimeout(this.wait);
    this.wait = setTimeout(() => this.showZoom(node), HOVER_MS);
  }

  // A target that is pointed at may be the next one.
  near(node) {
    const { row, rank } = this.place(node);
    if (this.data.way) ahead.near(this.data.rows[row].tiles[rank].id);
  }

  focused(event) {
    const node = event.target.closest?.(".tile");
    if (!node) return;
    this.focus = this.place(node);
    this.rove();
    this.point(node);
    this.near(node);
    if (node.matches(":focus-visible")) this.showZoom(node);
  }

  leave() {
    this.hideZoom();
    if (!this.inner) return;
    this.inner.querySelectorAll(".twin").forEach((node) => node.classList.remove("twin"));
    this.status.textContent = this.data.footnote || "";
  }

  // Marks the same training image in every row, and says where it stands.
  point(node) {
    this.leave();
    const { row, rank } = this.place(node);
    const tile = this.data.rows[row].tiles[rank];
    const where = [];
    if (this.data.layout === "rows") {
      this.data.rows.forEach((other, i) => other.tiles.forEach((candidate, j) => {
        if (candidate.id !== tile.id) return;
        this.tiles[i][j].classList.add("twin");
        where.push(`${other.short || other.name} #${j + 1}`);
      }));
    }
    this.words = [tile.text, tile.mark, tile.flag].filter(Boolean).join(" · ");
    this.where = where.join(" · ");
    this.status.textContent = this.words + (where.length ? " — " + this.where : "");
  }

  showZoom(node) {
    if (!node.isConnected) return;
    const { row, rank } = this.place(node);
    const tile = this.data.rows[row].tiles[rank];
    this.zoom.replaceChildren(pic(this.data.atlas, tile.at, this.data.zoom), make("span", "words", this.words || tile.text));
    if (this.where) this.zoom.append(make("span", "where", this.where));
    if (tile.score !== undefined) this.zoom.append(make("span", "where", "score " + tile.score));
    this.zoom.style.width = this.data.atlas.width * this.data.zoom + "px";
    this.zoom.classList.add("shown");
    const at = node.getBoundingClientRect(), size = this.zoom.getBoundingClientRect();
    const above = at.top - size.height - 8;
    const x = Math.max(8, Math.min(at.left + at.width / 2 - size.width / 2, window.innerWidth - size.width - 8));
    this.zoom.style.left = x + "px";
    this.zoom.style.top = (above > TOP ? above : at.bottom + 8) + "px";
  }

  hideZoom() {
    clearTimeout(this.wait);
    this.zoom.classList.remove("shown");
  }

  click(event) {
    if (event.target.closest(".cut, .edge")) return; // see `grab`
    const rank = event.target.closest(".rank");
    if (rank && this.data.cut) return this.moveCut(Number(rank.dataset.cut), true);
    const trust = event.target.closest("[data-trust]");
    if (trust) return this.send("trust", trust.dataset.trust);
    const head = event.target.closest("[data-choose]");
    if (head) return this.send("row", head.dataset.choose);
    const node = event.target.closest(".tile");
    if (node) this.pick(node);
  }

  pick(node) {
    const { row, rank } = this.place(node);
    const tile = this.data.rows[row].tiles[rank];
    // Answer the eye at once; the page follows.
    this.select(tile.id);
    this.focus = { row, rank };
    this.rove();
    this.hideZoom();
    if (this.data.way) ahead.show(tile.id);
    if (this.data.top) document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
    this.send("pick", { id: tile.id, row: this.data.rows[row].id, rank: rank + 1 });
  }

  select(id) {
    this.tiles.forEach((nodes, i) => nodes.forEach((node, j) =>
      node.setAttribute("aria-selected", String(this.data.rows[i].tiles[j].id === id))));
  }

  // -- keyboard

  // J and K, and the buttons that they stand for, lead to the target after this one and to the one before.
  travel(event) {
    if (!this.data?.way) return;
    const from = event.composedPath()[0], [before, after] = this.data.way;
    if (event.type === "click") {
      if (from.closest?.(".st-key-next button")) ahead.show(after);
      else if (from.closest?.(".st-key-previous button")) ahead.show(before);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || from.closest?.(TYPING)) return;
    if (event.key === "j" || event.key === "J") ahead.show(after);
    else if (event.key === "k" || event.key === "K") ahead.show(before);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === this.line) return this.cutKey(event);
    const node = event.target.closest(".tile");
    if (!node) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.stopPropagation();
      return this.pick(node);
    }
    if (event.key === "Escape") return this.hideZoom();
    const next = this.step(event.key);
    if (!next) return;
    event.preventDefault();
    const target = this.tileAt(next);
    target.focus({ preventScroll: true });
    this.reveal(target);
    this.showZoom(target);
  }

  step(key) {
    const { row, rank } = this.focus;
    const last = this.tiles[row].length - 1;
    const moves = { ArrowLeft: rank - 1, ArrowRight: rank + 1, Home: 0, End: last };
    if (key in moves) return { row, rank: Math.max(0, Math.min(last, moves[key])) };
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    const down = key === "ArrowDown" ? 1 : -1;
    if (this.data.layout === "wall") {
      const wide = Math.max(1, this.tiles[row].filter((n) => n.offsetTop === this.tiles[row][0].offsetTop).length);
      const there = rank + down * wide;
      return there >= 0 && there <= last ? { row, rank: there } : null;
    }
    for (let other = row + down; other >= 0 && other < this.data.rows.length; other += down) {
      if (this.tiles[other]) return { row: other, rank: Math.min(rank, this.tiles[other].length - 1) };
    }
    return null;
  }

  cutKey(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    let k = this.cut + (steps[event.key] || 0);
    if (event.key === "Home") k = 1;
    else if (event.key === "End") k = this.data.cut.shown;
    else if (!(event.key in steps)) return;
    event.preventDefault();
    this.moveCut(k);
  }

  // One tab stop for the whole strip; arrow keys reach the rest.
  rove() {
    this.tiles.forEach((nodes) => nodes.forEach((node) => { node.tabIndex = -1; }));
    const here = this.tileAt(this.focus);
    if (here) here.tabIndex = 0;
  }

  clampFocus() {
    if (!this.tileAt(this.focus)) {
      const row = this.tiles.findIndex(Boolean);
      this.focus = { row: Math.max(0, row), rank: 0 };
    }
    this.rove();
  }

  // Scrolls inside the strip only, and clear of the row headers that stay in view.
  reveal(node) {
    const list = this.scroller.getBoundingClientRect(), at = node.getBoundingClientRect();
    const head = this.headWidth();
    if (at.left < list.left + head) this.scroller.scrollLeft -= list.left + head - at.left + 8;
    else if (at.right > list.right) this.scroller.scrollLeft += at.right - list.right + 8;
    if (this.data.layout !== "wall") return;
    if (at.top < list.top) this.scroller.scrollTop -= list.top - at.top + 8;
    else if (at.bottom > list.bottom) this.scroller.scrollTop += at.bottom - list.bottom + 8;
  }

  // Of a film or a wall: brings the selected tile into view, in the next frame.
  showSelected() {
    if (this.data.layout === "rows") return;
    cancelAnimationFrame(this.showWaits);
    this.showWaits = requestAnimationFrame(() => this.root.isConnected && this.scrollToSelected());
  }

  scrollToSelected() {
    this.tiles.forEach((nodes, row) => nodes.forEach((node, rank) => {
      if (this.data.rows[row].tiles[rank].id !== this.data.selected) return;
      this.focus = { row, rank };
      const list = this.scroller.getBoundingClientRect(), at = node.getBoundingClientRect();
      if (at.left >= list.left && at.right <= list.right && this.data.layout === "line") return;
      this.scroller.scrollLeft += (at.left + at.right - list.left - list.right) / 2;
      this.reveal(node);
    }));
    this.rove();
  }
}
