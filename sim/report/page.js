"use strict";
// Draws the charts and switches the language. Every text of a figure is {en, zh}; what depends on the width of the
// screen is {wide, narrow}. Figures stand as JSON beside their div, so nothing is fetched.
(() => {
  const PRINT_WIDTH_PX = 660;
  const page = document.documentElement;
  const narrow = window.matchMedia("(max-width: 600px)");
  const charts = Array.from(document.querySelectorAll(".chart"), (div) => ({
    div,
    figure: JSON.parse(div.nextElementSibling.textContent),
  }));

  function resolve(node) {
    if (node === null || typeof node !== "object") return node;
    if (Array.isArray(node)) return node.map(resolve);
    if ("en" in node) return node[page.lang];
    if ("wide" in node) return resolve(narrow.matches ? node.narrow : node.wide);
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value)]));
  }

  function draw(width) {
    for (const { div, figure } of charts) {
      const { data, layout } = resolve(figure);
      if (width) layout.width = width;
      div.style.height = `${layout.height + 2}px`;
      Plotly.react(div, data, layout, { responsive: true, displayModeBar: false });
    }
  }

  function speak(lang) {
    page.lang = lang;
    for (const element of document.querySelectorAll("[data-en]")) element.textContent = element.dataset[lang];
    draw();
  }

  document.getElementById("language").addEventListener("click", () => speak(page.lang === "en" ? "zh" : "en"));
  narrow.addEventListener("change", () => draw());
  window.addEventListener("beforeprint", () => draw(PRINT_WIDTH_PX));
  window.addEventListener("afterprint", () => draw());
  draw();
})();
