// The table of rankings, method by feature set, and the sets of them that are chosen at once; pages/debug/row_picker.py
// documents the data and the event. Whatever comes from data is written with textContent or setAttribute.

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  let root = parentElement.querySelector(".picker");
  if (!root) {
    root = make("div", "picker");
    parentElement.append(root);
  }
  const said = JSON.stringify(data);
  if (root.dataset.said === said) return;
  root.dataset.said = said;
  const focused = root.getRootNode().activeElement?.dataset?.name;
  const choose = (names) => setTriggerValue("choose", names);
  root.replaceChildren(presets(data, choose), table(data, choose));
  if (focused) root.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function presets(data, choose) {
  const bar = make("div", "presets");
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "sets of rows");
  for (const { name, rankings } of data.presets) {
    const button = make("button", "", name);
    button.type = "button";
    button.dataset.name = name;
    button.title = rankings.join(", ");
    button.setAttribute("aria-pressed", String(rankings.join() === data.chosen.join()));
    button.addEventListener("click", () => choose(rankings));
    bar.append(button);
  }
  return bar;
}

function table(data, choose) {
  const grid = make("table"), head = make("tr"), body = make("tbody");
  grid.append(make("caption", "", "Rows: method by feature set"));
  head.append(make("th", "", "method"), ...data.columns.map((column) => make("th", "", column)));
  head.querySelectorAll("th").forEach((cell) => { cell.scope = "col"; });
  const top = make("thead");
  top.append(head);
  for (const { method, cells, colour } of data.rows) {
    const line = make("tr"), name = make("th");
    name.scope = "row";
    const swatch = make("span", "swatch");
    swatch.style.backgroundColor = colour;
    name.append(swatch, make("span", "", method));
    line.append(name, ...cells.map((ranking) => cell(ranking, data.chosen, choose)));
    body.append(line);
  }
  grid.append(top, body);
  return grid;
}

function cell(ranking, chosen, choose) {
  const place = make("td");
  if (!ranking) return place;
  const box = make("input");
  box.type = "checkbox";
  box.checked = chosen.includes(ranking);
  box.dataset.name = ranking;
  box.title = ranking;
  box.setAttribute("aria-label", ranking);
  box.addEventListener("change", () => choose(box.checked ? added(chosen, ranking) : chosen.filter((name) => name !== ranking)));
  place.append(box);
  return place;
}

// The random control stays last.
function added(chosen, ranking) {
  const at = chosen.indexOf("random");
  return at < 0 ? [...chosen, ranking] : [...chosen.slice(0, at), ranking, ...chosen.slice(at)];
}
