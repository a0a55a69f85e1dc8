"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const media = matchMedia("(prefers-color-scheme: dark)");
  const $ = (id) => document.getElementById(id);
  let printing = false;

  // ---- theme ----
  const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : media.matches);

  function recolour(value, key, dark) {
    if (typeof value === "string") return dark && /color$/i.test(key) ? data.dark[value] || value : value;
    if (Array.isArray(value)) return value.map((v) => recolour(v, key, dark));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, recolour(v, k, dark)]));
    return value;
  }

  // ---- figures: drawn when they come near the window, and for paper ----
  const plots = [...document.querySelectorAll("[data-figure]")];
  const config = { displayModeBar: false, responsive: true, doubleClick: false };

  function draw(el) {
    const figure = figures[el.dataset.figure];
    if (!figure || typeof Plotly === "undefined" || el.clientWidth === 0) return;
    const { data: traces, layout } = recolour(figure, "", isDark());
    if ("marks" in el.dataset && explorer) explorer.addMarks(el, traces, layout, isDark());
    layout.width = printing ? el.clientWidth : undefined;
    Plotly.react(el, traces, layout, config);
    el.dataset.drawn = "yes";
  }

  const redraw = () => plots.filter((el) => el.dataset.drawn).forEach(draw);

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting && entry.target.clientWidth) {
          near.unobserve(entry.target);
          draw(entry.target);
        }
    },
    { rootMargin: "300px" },
  );

  // "ROC, by race" -> "resnet50-roc-by-race"
  const fileName = (caption) =>
    `${document.body.dataset.fileStem} ${caption}`.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();

  function saveButton(el) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "Save picture";
    const caption = el.parentElement.querySelector("figcaption").textContent;
    button.setAttribute("aria-label", "Save picture: " + caption);
    button.addEventListener("click", () => {
      if (!el.dataset.drawn) draw(el);
      Plotly.downloadImage(el, { format: "svg", filename: fileName(caption) });
    });
    el.after(button);
  }

  // ---- tables: a press on a heading sorts ----
  function sortable(table) {
    table.querySelectorAll("thead th").forEach((th, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = th.textContent;
      th.textContent = "";
      th.append(button);
      button.addEventListener("click", () => sortBy(table, th, column));
    });
  }

  function sortBy(table, th, column) {
    const up = th.getAttribute("aria-sort") === "descending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [row.cells[column].dataset.sort, row.cells[column].textContent, row]);
    const numeric = keyed.some(([number]) => number !== "");
    keyed.sort(([a, x], [b, y]) => {
      if (!numeric) return up ? x.localeCompare(y) : y.localeCompare(x);
      if (a === "" || b === "") return (a === "") - (b === ""); // undefined always last
      return up ? a - b : b - a;
    });
    body.append(...keyed.map(([, , row]) => row));
  }

  // ---- threshold explorer ----
  // Only what is zero or all reads as zero or all, as in reports/numbers.py.
  // Halves go to the even digit, as in Python: 6.25 is 6.2 on the whole page.
  function fixed(x, digits) {
    const halves = x * 2 ** (digits + 1), down = Math.floor(x * 10 ** digits);
    const even = Number.isInteger(halves) && halves % 2 !== 0 && digits > 0;
    return even ? ((down + (Math.abs(down) % 2)) / 10 ** digits).toFixed(digits) : x.toFixed(digits);
  }

  function hundredths(v) {
    const rest = Math.min(Math.abs(v), Math.abs(1 - v));
    if (rest === 0) return (100 * v).toFixed(0);
    return fixed(100 * v, rest >= 0.0005 ? 1 : Math.min(9, -Math.floor(Math.log10(100 * rest))));
  }
  const percent = (v) => (isFinite(v) ? hundredths(v) + "%" : "no data");
  const points = (v) => hundredths(v).replace(/\.0$/, "") + " points";

  // Wilson's score interval, as in audit.intervals.
  function wilson(k, n, z) {
    const centre = (k + (z * z) / 2) / (n + z * z);
    const spread = (z / (n + z * z)) * Math.sqrt((k * (n - k)) / n + (z * z) / 4);
    return [k === 0 ? 0 : Math.max(0, centre - spread), k === n ? 1 : Math.min(1, centre + spread)];
  }

  // Inverse of the normal distribution by bisection: marks on the DET plot need it to a pixel.
  function probit(p) {
    let low = -8, high = 8;
    for (let i = 0; i < 40; i++) {
      const middle = (low + high) / 2;
      if (normal(middle) < p) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  // Abramowitz and Stegun 7.1.26 for erf.
  function normal(x) {
    const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
    const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const erf = 1 - poly * Math.exp((-x * x) / 2);
    return x < 0 ? (1 - erf) / 2 : (1 + erf) / 2;
  }

  // Koopman's score limit of p1 / p2 by bisection on its logarithm, as in audit.intervals.
  function ratioLimit(p1, n1, p2, n2, z) {
    let low = -25, high = 25;
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2, ratio = Math.exp(middle);
      const a = (n1 + n2) * ratio, b = -(n1 * ratio + n1 * p1 + n2 + n2 * p2 * ratio), c = n1 * p1 + n2 * p2;
      const fit2 = (2 * c) / (-b + Math.sqrt(Math.max(b * b - 4 * a * c, 0))), fit1 = ratio * fit2;
      const variance = (fit1 * (1 - fit1)) / n1 + (ratio * ratio * fit2 * (1 - fit2)) / n2;
      const difference = p1 - ratio * p2;
      if (difference !== 0 && difference / Math.sqrt(Math.max(variance, 1e-300)) > z) low = middle;
      else high = middle;
    }
    return Math.exp((low + high) / 2);
  }

  // Of the images flagged, the share that is real, by Bayes' theorem, as in audit.discovery.
  function falseDiscovery(flagged, nReal, caught, nFake, share, z) {
    const odds = (1 - share) / share, value = (flagged * odds) / (flagged * odds + caught);
    if (!isFinite(value)) return { value: NaN, interval: [NaN, NaN] };
    const low = flagged === 0 ? 0 : ratioLimit(flagged, nReal, caught, nFake, z);
    const high = caught === 0 ? Infinity : ratioLimit(flagged, nReal, caught, nFake, -z);
    return { value, interval: [low, high].map((limit) => 1 - 1 / (1 + limit * odds)) };
  }

  function ofThousand(v) {
    if (v > 0 && v < 0.001) return "under 1";
    return v > 0.999 && v < 1 ? "over 999" : Math.floor(1000 * v + 0.5).toLocaleString("en");
  }

  function makeExplorer(record) {
    const slider = $("threshold"), select = $("explorer-attribute"), z = record.z;
    const shareField = $("fake-share"), presets = [...document.querySelectorAll("button.fake-share")];
    let at = record.start, share = +shareField.value / 100;
    const chosen = () => record.attributes[select ? +select.value : 0] || { name: "", groups: [], curves: false };
    const rate = (group, kind) => {
      const n = kind === "fpr" ? group.n_real : group.n_fake, k = group[kind === "fpr" ? "fp" : "fn"][at];
      const worth = group[kind === "fpr" ? "real_worth" : "fake_worth"];  // independent images one counts for
      return { n, worth: n * worth, compared: group.compared[kind], value: n ? k / n : NaN, interval: n ? wilson(k * worth, n * worth, z) : [NaN, NaN] };
    };

    function niceTop(values) {
      const top = Math.max(0.02, ...values.filter(isFinite));
      return [0.02, 0.05, 0.1, 0.2, 0.5, 1].find((v) => v >= top) || 1;
    }

    function svg(tag, attributes) {
      const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
      return el;
    }

    function bar(r, top) {
      const cell = document.createElement("td"), box = document.createElement("div"), text = document.createElement("span");
      box.className = "bar";
      text.className = "v";
      text.textContent = isFinite(r.value)
        ? `${percent(r.value)} (${hundredths(r.interval[0])}–${percent(r.interval[1])}) of ${r.n.toLocaleString("en")}${r.compared ? "" : " *"}` : "no data";
      const picture = svg("svg", { "aria-hidden": "true" });
      const x = (v) => (100 * Math.min(v / top, 1)).toFixed(2) + "%";
      picture.append(svg("line", { class: "axis", x1: "0%", x2: "100%", y1: 8, y2: 8 }));
      if (isFinite(r.value)) {
        picture.append(svg("line", { x1: x(r.interval[0]), x2: x(r.interval[1]), y1: 8, y2: 8 }));
        picture.append(svg("circle", { cx: x(r.value), cy: 8, r: 5 }));
      }
      box.append(text, picture);
      if (!r.compared) cell.className = "small-group";
      cell.append(box);
      return cell;
    }

    function discovery(group) {
      const fpr = rate(group, "fpr"), fnr = rate(group, "fnr");
      return { compared: fpr.compared && fnr.compared, ...falseDiscovery(fpr.value, fpr.worth, 1 - fnr.value, fnr.worth, share, z) };
    }

    function discoveryText(d) {
      if (!isFinite(d.value)) return "no data";
      const [low, high] = d.interval.map(ofThousand);
      return `${ofThousand(d.value)} (${low}${(low + high).includes(" ") ? " to " : "–"}${high})`;
    }

    function discoveryCell(group) {
      const cell = document.createElement("td"), d = discovery(group);
      cell.textContent = discoveryText(d) + (isFinite(d.value) && !d.compared ? " *" : "");
      return cell;
    }

    const shareText = () => (100 * share).toLocaleString("en", { maximumSignificantDigits: 4 }) + "%";

    function discoverySentence() {
      const d = discovery(record.overall);
      if (!isFinite(d.value)) return "";
      const rated = chosen().groups.map((g) => [g.name, discovery(g)]).filter(([, r]) => r.compared && isFinite(r.value));
      const known = rated.map(([name, r]) => [name, r.value]).sort((a, b) => b[1] - a[1]);
      const start = ` If ${shareText()} ${record.words.rare} ${ofThousand(d.value)} are ${record.words.wronged}`;
      if (known.length < 2) return start + ".";
      return `${start} (${known[0][0]} ${ofThousand(known[0][1])}, ${known.at(-1)[0]} ${ofThousand(known.at(-1)[1])}).`;
    }

    function takeShare() {
      const given = shareField.value === "" ? NaN : +shareField.value / 100, fits = given > 0 && given < 1;
      shareField.setAttribute("aria-invalid", String(!fits));
      if (fits) share = given;
      presets.forEach((button) => button.setAttribute("aria-pressed", String(fits && Math.abs(+button.value / 100 - share) < 1e-9)));
      if (fits) update();
    }

    function row(group, tops) {
      const tr = document.createElement("tr"), name = document.createElement("th");
      name.scope = "row";
      name.className = "named";
      name.textContent = group.name;
      tr.append(name, bar(rate(group, "fpr"), tops.fpr), bar(rate(group, "fnr"), tops.fnr), discoveryCell(group));
      return tr;
    }

    function gap(kind) {
      const rated = chosen().groups.map((g) => [g.name, rate(g, kind)]).filter(([, r]) => r.compared && r.n);
      const known = rated.map(([name, r]) => [name, r.value]).sort((a, b) => b[1] - a[1]);
      if (known.length < 2) return null;
      return { value: known[0][1] - known.at(-1)[1], worst: known[0], best: known.at(-1) };
    }

    function sentence(kind, happens) {
      const g = gap(kind), all = rate(record.overall, kind).value;
      const start = `${percent(all)} ${happens}`;
      if (!g) return start + ".";
      return `${start}; largest observed gap ${points(g.value)} ` +
        `(${g.worst[0]} ${percent(g.worst[1])}, ${g.best[0]} ${percent(g.best[1])}).`;
    }

    function marks(kind, attribute) {
      const all = attribute.curves ? attribute.groups : [record.overall];
      const shown = all.map((g) => [g.name, rate(g, "fpr").value, rate(g, "fnr").value]);
      const inside = shown.filter(([, a, b]) =>
        kind === "det" ? a > 0 && a < 1 && b > 0 && b < 1 : isFinite(a) && isFinite(b));
      return kind === "det"
        ? { x: inside.map((m) => probit(m[1])), y: inside.map((m) => probit(m[2])) }
        : { x: inside.map((m) => m[1]), y: inside.map((m) => 1 - m[2]) };
    }

    const kindOf = (el) => el.dataset.figure.split("-")[0];
    const lineAt = (dark) => ({
      type: "line", xref: "x", yref: "paper", x0: record.thresholds[at], x1: record.thresholds[at], y0: 0, y1: 1,
      line: { color: dark ? "#e8ecf1" : "#1b1f24", width: 2 },
    });

    function addMarks(el, traces, layout, dark) {
      const attribute = record.attributes[+el.closest("[data-attribute]").dataset.attribute];
      if (kindOf(el) === "gap") layout.shapes = [...(layout.shapes || []), lineAt(dark)];
      else
        traces.push({ ...marks(kindOf(el), attribute), mode: "markers", showlegend: false, hoverinfo: "skip",
          marker: { size: 9, color: dark ? "#12161b" : "#ffffff", line: { width: 2.5, color: dark ? "#e8ecf1" : "#1b1f24" } } });
    }

    function update() {
      const attribute = chosen(), all = [...attribute.groups, record.overall];
      $("threshold-value").textContent = record.shown[at];
      slider.setAttribute("aria-valuetext", "threshold " + record.shown[at]);
      $("explorer-summary").textContent =
        `At threshold ${record.shown[at]}: ` + sentence("fpr", record.words.fpr) +
        " " + sentence("fnr", record.words.fnr) + discoverySentence();
      $("fake-share-shown").textContent = shareText();
      const tops = {};
      for (const kind of ["fpr", "fnr"]) tops[kind] = niceTop(all.map((g) => rate(g, kind).interval[1]));
      $("explorer-table").tBodies[0].replaceChildren(...all.map((g) => row(g, tops)));
      document.querySelectorAll(".explorer-figures").forEach((box) => {
        box.hidden = select ? box.dataset.attribute !== select.value : false;
        if (!box.hidden) box.querySelectorAll("[data-figure]").forEach((el) => { if (!el.dataset.drawn) near.observe(el); });
      });
      plots.filter((el) => "marks" in el.dataset && el.dataset.drawn && el.clientWidth).forEach(draw);
    }

    slider.max = record.thresholds.length - 1;
    let waiting = false;
    slider.addEventListener("input", () => {
      at = +slider.value;
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; update(); });
    });
    if (select) select.addEventListener("change", update);
    shareField.addEventListener("input", takeShare);
    presets.forEach((button) => button.addEventListener("click", () => { shareField.value = button.value; takeShare(); }));
    $("threshold-reset").addEventListener("click", () => { at = record.start; slider.value = at; update(); });
    slider.value = at;
    $("explorer-controls").hidden = false;
    $("explorer-table").hidden = false;
    return { update, addMarks };
  }

  // ---- paper ----
  let opened = [];
  function beforePrint() {
    if (printing) return;
    printing = true;
    opened = [...document.querySelectorAll("#appendix[open] details:not([open])")]; // paper shows what the screen shows
    opened.forEach((el) => { el.open = true; });
    root.classList.add("printing");
    root.dataset.themeBefore = root.dataset.theme || "";
    root.dataset.theme = "light";
    plots.forEach(draw);
  }

  function afterPrint() {
    printing = false;
    root.classList.remove("printing");
    if (root.dataset.themeBefore) root.dataset.theme = root.dataset.themeBefore;
    else delete root.dataset.theme;
    opened.forEach((el) => { el.open = false; });
    redraw();
  }

  // ---- start ----
  const explorer = data.explorer ? makeExplorer(data.explorer) : null;
  if (explorer) explorer.update();
  document.querySelectorAll("[data-sortable]").forEach(sortable);
  plots.forEach((el) => { near.observe(el); saveButton(el); });
  document.querySelectorAll("details").forEach((el) => el.addEventListener("toggle", () => {
    if (el.open) el.querySelectorAll("[data-figure]").forEach((plot) => { if (!plot.dataset.drawn) near.observe(plot); });
  }));
  // ---- a link into the appendix opens it ----
  function reveal() {
    const target = location.hash.length > 1 && $(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let moved = false;
    for (let el = target.closest("details"); el; el = el.parentElement.closest("details")) {
      moved ||= !el.open;
      el.open = true;
    }
    if (moved) target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("a[href^='#']")) setTimeout(reveal);
  });
  reveal();
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
  media.addEventListener("change", redraw);

  const theme = $("theme"), print = $("print");
  const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`); };
  theme.hidden = print.hidden = false;
  name();
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); redraw(); });
  print.addEventListener("click", () => window.print());
  if (location.hash === "#print") { beforePrint(); root.dataset.ready = "yes"; }
})();
