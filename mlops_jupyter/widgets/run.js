// Draws the trait `run`: a models.Run as JSON, or null. Text goes in as text, never as HTML.
// The same structure as the static rendering in run.py.

const STATUS = {
  RUNNING: "● running",
  FINISHED: "✓ finished",
  FAILED: "✗ failed",
  KILLED: "■ killed",
};

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const LONG = 12;

function table(caption, rows) {
  const head = ["Name", "Value"].map((text) => element("th", { scope: "col" }, text));
  const lines = rows.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)),
  );
  return element(
    "details",
    rows.length <= LONG ? { open: "" } : {},
    element("summary", {}, `${caption} (${rows.length})`),
    element(
      "table",
      { "aria-label": caption },
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...lines),
    ),
  );
}

function number(value) {
  if (value === null) {
    return "not a number";
  }
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(5)));
}

function about(run) {
  const started = new Date(run.started);
  const parts = [run.notebook, `started ${started.toLocaleString()}`];
  if (run.ended) {
    parts.push(`${number((new Date(run.ended) - started) / 1000)} s`);
  }
  return parts.filter(Boolean).join(" · ");
}

function head(run) {
  if (!run) {
    return [];
  }
  const status = element(
    "span",
    { class: "mlops-status", "data-status": run.status },
    STATUS[run.status] ?? run.status,
  );
  return [element("strong", { class: "mlops-name" }, run.name), " ", status];
}

function body(run) {
  if (!run) {
    return [element("p", { class: "mlops-about" }, "No run yet. It opens with the first fit.")];
  }
  const metrics = Object.entries(run.metrics).map(([key, value]) => [key, number(value)]);
  const tables = Object.entries({ Metrics: metrics, Parameters: Object.entries(run.parameters) })
    .filter(([, rows]) => rows.length)
    .map(([caption, rows]) => table(caption, rows));
  return [
    element("p", { class: "mlops-about" }, about(run)),
    element("div", { class: "mlops-tables" }, ...tables),
  ];
}

function render({ model, el }) {
  // The live region stays in the page and changes only with the run or its status, so that a
  // screen reader says those and not every metric.
  const live = element("p", { class: "mlops-head", role: "status" });
  const rest = element("div", {});
  let said = null;
  const update = () => {
    const run = model.get("run");
    const now = run ? `${run.run_id} ${run.status}` : "";
    if (now !== said) {
      said = now;
      live.replaceChildren(...head(run));
    }
    rest.replaceChildren(...body(run));
  };
  model.on("change:run", update);
  update();
  el.replaceChildren(element("section", { class: "mlops-run", "aria-label": "Run" }, live, rest));
  return () => model.off("change:run", update);
}

export default { render };
