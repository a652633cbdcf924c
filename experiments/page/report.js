"use strict";

const root = document.documentElement;
const theme = document.getElementById("theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
}

function nameTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
}

theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
prefersDark.addEventListener("change", nameTheme);
nameTheme();

// Numbers by size, words by alphabet; cells with nothing to show stay last in both directions.
function compare(first, second, direction) {
  if (first === undefined || second === undefined) {
    return (first === undefined) - (second === undefined);
  }
  const difference = Number(first) - Number(second);
  const order = Number.isNaN(difference) ? first.localeCompare(second, "en", { numeric: true }) : difference;
  return direction * order;
}

function sort(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const isNumber = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  // The first click shows the largest numbers, or the beginning of the alphabet.
  const ascending = before ? before === "descending" : !isNumber;
  for (const other of table.tHead.rows[0].cells) {
    other.removeAttribute("aria-sort");
  }
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const key = (row) => row.cells[column].dataset.sort;
  const rows = [...table.tBodies[0].rows];
  rows.sort((first, second) => compare(key(first), key(second), ascending ? 1 : -1));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sort(table, column));
  });
}

// A figure opens large. Left and right go through all of them; buttons show the same figure of another run in its place.
const large = document.getElementById("large");
const figures = [...document.querySelectorAll("figure .open")];
let shown = null;
let fitted = false;

function show(button) {
  shown = button;
  const picture = button.querySelector("img");
  const image = document.getElementById("large-image");
  image.src = picture.src;
  image.alt = picture.alt;
  const caption = button.closest("figure").querySelector("figcaption").textContent;
  document.getElementById("large-caption").textContent = caption;
  fitted = false;
  const same = figures.filter((other) => other.dataset.key === button.dataset.key);
  const choices = same.length < 2 ? [] : same.map((other) => {
    const choice = document.createElement("button");
    choice.type = "button";
    choice.textContent = other.dataset.owner;
    choice.setAttribute("aria-pressed", String(other === button));
    choice.addEventListener("click", () => {
      const place = same.indexOf(other);
      show(other);
      document.getElementById("large-runs").children[place].focus();
    });
    return choice;
  });
  document.getElementById("large-runs").replaceChildren(...choices);
  if (!large.open) {
    large.showModal();
    document.getElementById("large-close").focus();
  }
  resize();
}

// At its own size or larger if the window has room, scrolled where it has not; or fitted into the window.
function resize() {
  const image = document.getElementById("large-image");
  const frame = document.getElementById("large-frame");
  const picture = shown.querySelector("img");
  const fit = Math.min(frame.clientWidth / picture.naturalWidth, frame.clientHeight / picture.naturalHeight);
  image.style.width = `${Math.floor(picture.naturalWidth * (fitted ? fit : Math.max(1, fit)))}px`;
  const button = document.getElementById("large-fit");
  button.hidden = fit >= 1;
  button.textContent = fitted ? "Full size" : "Fit";
}

for (const button of figures) {
  button.addEventListener("click", () => show(button));
}
document.getElementById("large-fit").addEventListener("click", () => {
  fitted = !fitted;
  resize();
});
addEventListener("resize", () => large.open && resize());
document.getElementById("large-close").addEventListener("click", () => large.close());
document.getElementById("large-frame").addEventListener("click", () => large.close());
large.addEventListener("close", () => shown.focus());
large.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const next = step && figures[figures.indexOf(shown) + step];
  if (next) {
    event.preventDefault();
    show(next);
  }
});
