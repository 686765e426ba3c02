"use strict";
// Filters what the page holds, moves through it by keyboard, unfolds what a link leads to, and unpacks the drawings of what
// passed. The page is whole without it, those drawings apart.
(() => {
  const input = document.getElementById("q");
  if (!input) return;
  const found = document.getElementById("found");
  const buttons = [...document.querySelectorAll("#verdicts button")];
  const all = [...document.querySelectorAll(".f:not(path)")];
  let texts;
  // What can be searched: what is seen of a thing when it is folded, and the rules that it speaks of.
  const textOf = (one) => {
    if (one.tagName !== "DETAILS") return one.textContent.toLowerCase();
    const rules = [...one.querySelectorAll(".covers a, .broken a")].map((link) => link.textContent);
    return (one.firstElementChild.textContent + " " + rules.join(" ")).toLowerCase();
  };
  const filter = () => {
    texts ??= all.map(textOf);
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = buttons.filter((one) => one.ariaPressed === "true").map((one) => one.dataset.v);
    let seen = 0, scenarios = 0, rows = 0;
    all.forEach((one, index) => {
      const isScenario = one.tagName === "DETAILS";
      const fits = words.every((word) => texts[index].includes(word))
        && (!isScenario || !verdicts.length || verdicts.some((verdict) => one.classList.contains(verdict)));
      one.hidden = !fits;
      if (isScenario) { scenarios += 1; seen += fits; } else rows += fits;
    });
    const filtered = words.length || verdicts.length;
    found.textContent = !filtered ? "" : scenarios ? seen + " of " + scenarios + " scenarios" : rows + " of " + all.length + " rows";
    const state = new URLSearchParams();
    if (words.length) state.set("q", input.value);
    if (verdicts.length) state.set("v", verdicts.join(" "));
    if (filtered || location.hash.startsWith("#?")) history.replaceState(null, "", filtered ? "#?" + state : "#");
    // A list that has nothing left to show has no heading either.
    for (const part of document.querySelectorAll(".listed")) part.hidden = !part.querySelector(".f:not([hidden])");
  };
  const unfold = () => {
    if (location.hash.startsWith("#?")) {
      const state = new URLSearchParams(location.hash.slice(2));
      input.value = state.get("q") || "";
      const verdicts = (state.get("v") || "").split(" ");
      buttons.forEach((one) => { one.ariaPressed = String(verdicts.includes(one.dataset.v)); });
      filter();
      return;
    }
    const asked = new URLSearchParams(location.search).get("q");
    if (asked && location.hash.length < 2) {
      input.value = asked;
      filter();
      return;
    }
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) { clear(); }
    if (target.tagName === "DETAILS") target.open = true;
    target.scrollIntoView();
  };
  const clear = () => {
    input.value = "";
    buttons.forEach((one) => { one.ariaPressed = "false"; });
    filter();
  };
  // Where the focus goes in each thing that is seen.
  const stop = (one) => one.querySelector("summary, a");
  const move = (by) => {
    const rows = all.filter((one) => stop(one)?.checkVisibility());
    const here = rows.findIndex((one) => one.contains(document.activeElement));
    const next = rows[here < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, here + by))];
    if (!next) return;
    stop(next).focus({ preventScroll: true });
    next.scrollIntoView({ block: next.matches(".finding") ? "start" : "nearest" });
  };
  let waiting;
  input.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(filter); });
  buttons.forEach((one) => one.addEventListener("click", () => {
    one.ariaPressed = String(one.ariaPressed !== "true");
    filter();
    document.getElementById("scenarios")?.scrollIntoView();
  }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") { clear(); input.blur(); return; }
    if (event.target === input) {
      if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); move(0); }
      return;
    }
    if (event.key === "/") { event.preventDefault(); input.focus(); input.select(); }
    if (event.key === "j") move(1);
    if (event.key === "k") move(-1);
  });
  // The drawings are unpacked when the first of them is unfolded.
  let drawings;
  const unpacked = () => drawings ??= (async () => {
    const packed = Uint8Array.from(atob(document.getElementById("drawings").textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return (await new Response(stream).text()).split("\u001e");
  })();
  const draw = async (place) => {
    try {
      const drawing = (await unpacked())[place.dataset.drawing];
      const svg = new DOMParser().parseFromString(drawing, "text/html").body.firstElementChild;
      place.replaceWith(document.adoptNode(svg));
    } catch (error) {
      place.textContent = "This browser cannot unpack the drawing: " + error.message;
    }
  };
  document.addEventListener("toggle", (event) => {
    const place = event.target.open && event.target.querySelector("[data-drawing]");
    if (place) draw(place);
  }, true);
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = all.filter((one) => one.tagName === "DETAILS" && !one.open && !one.matches(".pass, .unsupported, .not-tested"));
    folded.forEach((one) => { one.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));
  window.addEventListener("hashchange", unfold);
  unfold();
})();
