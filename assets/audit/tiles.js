// Draws the parts of the review from what they are given: images, evidence, buttons. Each returns an element.

const SIGNS = { keep: "✓", relabel: "→", remove: "×", unsure: "?" };
const HELP = [
  ["0 – 9", "change the label to this class (more than 10 classes: type a number or a name)"],
  ["Enter", "keep the label"], ["A", "accept the suggested label"], ["S", "unsure"], ["X", "remove the image from training"],
  ["U", "undo"], ["Y", "redo"],
];
const ENDS = [["G", "next undecided"], ["N", "a note for the next decision"], ["E", "export the corrections (step 2)"], ["H", "these keys"]];
const MOVES = {
  one: [["J, ↓, →", "next image (J is next in Debug, too)"], ["K, ↑, ←", "previous image"]],
  wall: [
    ["click, Space", "mark an image (Shift: all up to it)"], ["*", "mark all, or none"], ["arrows", "move (Shift: mark, too)"],
    ["J, K", "next wall, previous wall (J is next in Debug, too)"],
  ],
};
const KEY_LINE = {
  one: "Keys: J next, K previous, as in Debug; each decision goes on to the next image. H shows all keys.",
  wall: "Keys act on the marked images; with none marked, a key marks the one in the frame first. Space marks, arrows move, J next wall, K previous wall. H shows all keys.",
};

// A button that the review's `click` acts on: `action` is a key of its actions. more: further classes.
function actionButton(action, value, text, key, more = "") {
  const button = make("button", more);
  button.type = "button";
  button.dataset.do = action;
  button.dataset.value = value;
  if (key) button.append(make("kbd", "", key));
  button.append(make("span", "", text));
  if (text.length > 30) button.title = text; // it is cut
  return button;
}

// Not `disabled`, which drops the focus: Enter would then mean the given label.
function setOff(button, off) { button.setAttribute("aria-disabled", String(off)); }

// How many are decided, as a number and a bar.
function progressParts(decided, total) {
  const count = make("span", "count");
  count.append(make("b", "", String(decided)), ` of ${total} decided`);
  const meter = make("span", "meter");
  const values = { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": decided, "aria-label": "decided" };
  for (const [name, value] of Object.entries(values)) meter.setAttribute(name, String(value));
  const filled = make("span", "filled");
  filled.style.width = `${(100 * decided) / total}%`;
  meter.append(filled);
  return [count, meter];
}

function enlargedImage(data, item) {
  const picture = pic(data.pictures, item.picture, data.bigScale, "pictures big");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `training image ${item.id}, label ${data.classes[item.given]}, enlarged`);
  return picture;
}

// The given and the suggested label, and the image's place in the detector's order, or what is wrong with it. hidden: until it is decided.
// Where some images are drawn at random, the place would tell which: it is shown once the image is decided.
function labelsLine(data, item, hidden, decided) {
  const { classes, queue } = data;
  const line = make("div", "labels");
  line.append(make("span", "faint", "label"), make("b", "given", classes[item.given]));
  if (hidden) {
    line.append(make("span", "faint", "Suggestion hidden until you decide"));
    return line;
  }
  if (item.suggested !== null && item.suggested !== item.given) {
    line.append(make("span", "faint", "suggested label"), make("b", "suggested", classes[item.suggested]));
  } else if (!item.note) line.append(make("span", "faint", "No other label suggested"));
  if (item.note || decided || !queue.random) line.append(make("span", "faint place", item.note || `suspicion rank ${item.place} of ${data.of_all} (${queue.detector}, score ${item.score})`));
  return line;
}

// What was decided about an image, and by whom.
function decisionLine(decision, item, classes) {
  const line = make("div", "stands");
  if (!decision) {
    line.append(make("span", "faint", "Not decided yet"));
    return line;
  }
  const words = (one) => decisionWords(one, classes);
  const elsewhere = decision.tab && decision.tab !== hub.client ? ", in another tab" : "";
  line.append(make("b", "", `${SIGNS[decision.action]} ${words(decision)}`), make("span", "faint", ` by ${decision.who}${elsewhere}`));
  if (decision.reason) line.append(make("span", "faint", ` · ${decision.reason}`));
  if (item.control) line.append(make("span", "faint", " · drawn at random"));
  if (decision.conflict?.length) {
    const others = decision.conflict.map((other) => `${other.who}: ${words(other)}${other.reason ? ` (${other.reason})` : ""}`).join("; ");
    line.append(make("div", "loud", `Conflicting decisions. ${others}. Decide again to settle it; until then this label is not corrected.`));
  }
  return line;
}

function decisionWords(decision, classes) {
  return { keep: "label kept", relabel: `label changed to ${classes[decision.label]}`, remove: "removed from training", unsure: "unsure" }[decision.action];
}

// What speaks for and against a label.
function evidenceBox(data, item, hidden) {
  const { classes, sources } = data;
  const box = make("div", "facts");
  if (!hidden && item.bars.length) box.append(fact(sources.opinion, opinionBars(data, item)));
  if (item.near.length) {
    const tiles = item.near.map(([at, label, image]) => ({
      at, caption: hidden ? "" : classes[label], words: `training image ${image}, ${hidden ? "" : classes[label]}`, differs: !hidden && label !== item.given,
    }));
    const mix = hidden ? "" : item.mix.map(([c, n]) => `${n} ${classes[c]}`).join(", ");
    box.append(fact(sources.neighbours, tileRow(data, "tiles", tiles), mix));
  }
  if (!hidden && sources.harmed) {
    const tiles = item.harmed.map(([at, label, image, predicted]) => ({
      at, words: `validation image ${image}, ${classes[label]}`, differs: predicted !== null && label !== predicted,
      caption: label === predicted || predicted === null ? classes[label] : `${classes[label]} → ${classes[predicted]}`,
    }));
    box.append(fact(sources.harmed, tiles.length ? tileRow(data, "harms", tiles) : make("div", "faint", "None")));
  }
  return box;
}

function fact(title, content, more) {
  const box = make("div", "fact");
  const head = make("div", "faint", title);
  if (more) head.append(make("span", "mix", more));
  box.append(head, content);
  return box;
}

function opinionBars(data, item) {
  const box = make("div", "bars");
  for (const [c, p] of item.bars) {
    const name = make("span", c === item.given ? "mine" : "", data.classes[c]);
    const bar = make("span", "track");
    const filled = make("span", c === item.given ? "filled mine" : "filled");
    filled.style.width = `${100 * p}%`;
    bar.append(filled);
    box.append(name, bar, make("span", "value", p.toFixed(2)));
  }
  return box;
}

// tiles: [{at: place in the sprite sheet, caption, words, differs}]; sheet: its name in `data`.
function tileRow(data, sheet, tiles) {
  const row = make("div", "row");
  for (const { at, caption, words, differs } of tiles) {
    const tile = make("span", "mini" + (differs ? " differs" : ""));
    const picture = pic(data[sheet], at, data.scale, sheet);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", words);
    tile.title = words;
    tile.append(picture, make("span", "caption", caption));
    row.append(tile);
  }
  return row;
}

function signOf(decision) { return decision.conflict?.length ? "!" : SIGNS[decision.action]; }

function signSpan(decision) {
  return make("span", "sign" + (decision?.conflict?.length ? " loud" : ""), decision ? signOf(decision) : "");
}

// An image of the wall. rank: its place on the wall; here: whether the cursor is at it; hidden: its suggestion is.
function wallTile(data, item, rank, { decision, here, marked, hidden }) {
  const { classes } = data;
  const tile = make("div", "tile" + (here ? " here" : "") + (decision ? " decided" : ""));
  tile.id = `tile-${rank}`;
  tile.setAttribute("role", "option");
  tile.setAttribute("aria-selected", String(marked));
  tile.dataset.do = "mark";
  tile.dataset.value = String(rank);
  const change = hidden || item.suggested === null || item.suggested === item.given ? classes[item.given] : `${classes[item.given]} → ${classes[item.suggested]}`;
  tile.title = `training image ${item.id}: ${change}`;
  tile.setAttribute("aria-label", tile.title);
  tile.append(pic(data.tiles, item.at, data.scale, "tiles"));
  if (decision) tile.append(signSpan(decision));
  const outcomes = { relabel: () => `→ ${classes[decision.label]}`, remove: () => "removed", keep: () => "kept", unsure: () => "unsure" };
  const below = decision ? outcomes[decision.action]() : change === classes[item.given] ? "" : `→ ${classes[item.suggested]}`;
  tile.append(make("span", "caption", classes[item.given]), make("span", "caption then", below));
  return tile;
}

// An image of the film. item: undefined while it is on its way.
function filmFrame(data, at, item, decision, here) {
  const frame = make("span", "frame" + (here ? " here" : "") + (decision ? " decided" : ""));
  frame.dataset.do = "go";
  frame.dataset.value = String(at);
  if (item) frame.append(pic(data.tiles, item.at, data.filmScale, "tiles"));
  frame.append(signSpan(decision));
  return frame;
}

function helpSheet(mode) {
  const sheet = make("div", "help");
  sheet.setAttribute("role", "region");
  sheet.setAttribute("aria-label", "keys");
  const table = make("dl");
  for (const [keys, words] of [...HELP, ...MOVES[mode], ...ENDS]) table.append(make("dt", "", keys), make("dd", "", words));
  sheet.append(make("b", "", "Keys"), table, actionButton("help", "", "Close", "H"));
  return sheet;
}

// The line under the buttons that says the most needed keys.
function keyLine(mode) { return make("div", "faint keys", KEY_LINE[mode]); }

// question: {text, yes (what the first button says)}
function questionBox({ text, yes }) {
  const box = make("div", "question");
  box.setAttribute("role", "alertdialog");
  box.setAttribute("aria-label", text);
  const line = make("div", "line");
  line.append(actionButton("yes", "", `Yes, ${yes}`, "Y"), actionButton("no", "", "No, go back", "N"));
  box.append(make("b", "", text), line);
  return box;
}

// n: images of a wall that one key would decide; hidden: how many of them are not on the screen.
function allQuestion(n, hidden) {
  const below = hidden ? ` ${hidden} ${hidden > 1 ? "are" : "is"} below the scroll.` : "";
  return `Decide all ${n} images shown?${below} Each gets its suggested label; one undo (U) takes all of it back.`;
}

// others: decisions that another tab made and that would be changed.
function overwriteQuestion(others, classes) {
  const [first] = others;
  if (others.length > 1) return `${others.length} of these images were decided in another tab after this page was opened. Replace those decisions?`;
  return `${first.who} decided this image in another tab after this page was opened: ${decisionWords(first, classes)}. Replace that decision?`;
}

function tabSentence(who) {
  return `Another tab has decided as ${who} in the last 5 minutes. If it is still open, close it, or enter another name here: under one name nobody can tell later whose decision was whose.`;
}

