// What both components draw with: elements whose text is never HTML, and tiles cut out of one picture that holds all of
// them (pages/ui/sprite_sheet.py). It is put in front of tile_strip.js and of the review.

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

// An address of the server's pictures (attribution/live/pictures.py), or a picture that is its own address.
const PICTURE = /^(data:image\/png;base64,[A-Za-z0-9+/=]*|pictures\/[0-9a-f]+\/[0-9a-f]+\.png)$/;

// The one rule that gives the elements of a class their picture; nothing where the address is not a picture's.
function pictureRule(className, url) {
  return PICTURE.test(url) ? `.${className}{background-image:url("${url}")}` : "";
}

// The tile at place `at` of an atlas, `scale` pixels a pixel. more: further classes, among them the picture's where it is
// not the one of "pic".
function pic(atlas, at, scale, more = "") {
  const { width, height, columns, count } = atlas;
  const node = make("span", ("pic " + more).trim());
  const x = (at % columns) * width * scale, y = Math.floor(at / columns) * height * scale;
  node.style.cssText = `width:${width * scale}px;height:${height * scale}px;background-position:-${x}px -${y}px;` +
    `background-size:${columns * width * scale}px ${Math.ceil(count / columns) * height * scale}px`;
  return node;
}

