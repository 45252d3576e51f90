"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const items = Array.from(document.querySelectorAll(".item"));
  const fields = Array.from(tools.querySelectorAll("input, select"));
  const output = tools.querySelector("output");
  const texts = items.map((item) => item.querySelector("summary, .bare").textContent.toLowerCase());
  const visible = () => items.filter((item) => !item.hidden).map((item) => item.querySelector("summary, .bare"));
  const has = (list, value) => !value || (" " + list + " ").includes(" " + value + " ");

  const filter = () => {
    const wanted = Object.fromEntries(fields.map((field) => [field.name, field.value.trim()]));
    const words = (wanted.search || "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    items.forEach((item, at) => {
      const matches = words.every((word) => texts[at].includes(word)) && has(item.dataset.kinds, wanted.kind)
        && has(item.dataset.judges, wanted.judge) && has(item.dataset.tags, wanted.tag);
      item.hidden = !matches;
      shown += matches ? 1 : 0;
    });
    output.textContent = shown.toLocaleString("en") + " of " + items.length.toLocaleString("en");
    const state = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    if (state !== location.hash.slice(1) && (state || location.hash.includes("="))) {
      history.replaceState(null, "", state ? "#" + state : location.pathname + location.search);
    }
  };

  const restore = () => {
    const hash = location.hash.slice(1);
    if (hash.includes("=")) {
      const state = new URLSearchParams(hash);
      fields.forEach((field) => { field.value = state.get(field.name) || ""; });
      filter();
      return;
    }
    const target = hash && document.getElementById(hash);
    if (target && target.matches("details.item")) {
      target.hidden = false;
      target.open = true;
      target.querySelector("summary").focus();
      target.scrollIntoView();
    }
  };

  const move = (step) => {
    const rows = visible();
    const at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select")) {
      if (event.key === "Escape") { event.target.value = ""; filter(); event.target.blur(); }
      return;
    }
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") { fields[0].focus(); event.preventDefault(); }
    else if (event.key === "Escape") items.forEach((item) => { item.open = false; });
  });
  tools.addEventListener("submit", (event) => event.preventDefault());
  let timer = 0;
  tools.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 80); });
  window.addEventListener("hashchange", restore);
  tools.hidden = false;
  filter();
  restore();
})();
