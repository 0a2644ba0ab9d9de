// Stands in messages for a component whose text the server keeps (attribution/live/scripts.py): brings the module that is
// at ADDRESS, once for a page, and lets it draw. The line with ADDRESS is put in front.
const module = import(new URL(ADDRESS, document.baseURI).href);
const dressed = new WeakSet();

export default function (component) {
  const { parentElement } = component;
  let left = false, leave;
  module.then(({ default: draw, STYLE }) => {
    if (left) return;
    if (!dressed.has(parentElement)) {
      dressed.add(parentElement);
      const style = document.createElement("style");
      style.textContent = STYLE;
      parentElement.prepend(style);
    }
    leave = draw(component);
  });
  return () => { left = true; leave?.(); };
}
