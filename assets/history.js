// Makes the browser's Back lead where a person was. Streamlit takes the parameters out of the address before it turns to
// another page, and replaces the address when a target changes; so this stands before the browser's history:
//   - the entry that is left keeps the address it had when the person clicked;
//   - a new value of one of STEPS is an entry of its own, so that Back returns to the target before;
//   - after Back and Forward the address stays where it was taken: an answer to an earlier one may still arrive. As
//     Streamlit has then noted the earlier one's address, it is told again where the browser is.
const STEPS = ["target"];
const TOLD_AT_MOST = 3; // times after one Back: a page that shows another target than was asked for ends it

export default function () {
  if (history.lineup) return;
  history.lineup = true;
  const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
  let settled = location.href; // the address when the person last did something
  let travelled = false; // whether that was Back or Forward
  let told = 0; // how often Streamlit was told again since
  for (const event of ["click", "keydown"]) {
    addEventListener(event, () => { settled = location.href; travelled = false; }, true);
  }
  addEventListener("popstate", (event) => {
    travelled = true;
    if (event.isTrusted) told = 0;
  }, true);
  const tellAgain = () => {
    if (told++ < TOLD_AT_MOST) setTimeout(() => dispatchEvent(new PopStateEvent("popstate", { state: history.state })));
  };
  const isStep = (to) => to.search && STEPS.some((name) => {
    const [old, now] = [new URL(location.href), to].map((url) => url.searchParams.get(name));
    return now !== null && old !== null && old !== now;
  });

  history.pushState = (state, title, url) => {
    const to = new URL(url ?? location.href, location.href);
    if (to.pathname !== location.pathname) {
      if (new URL(settled).pathname === location.pathname) replace(history.state, title, settled);
      return push(state, title, url);
    }
    if (!isStep(to)) return replace(state, title, url);
    if (travelled) tellAgain(); else push(state, title, url);
  };
  history.replaceState = (state, title, url) => {
    const to = new URL(url ?? location.href, location.href);
    if (to.pathname !== location.pathname || !isStep(to)) return replace(state, title, url);
    if (travelled) tellAgain(); else push(state, title, url);
  };
}
