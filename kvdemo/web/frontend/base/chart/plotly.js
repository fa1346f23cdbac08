// What every chart shares: plotly.js, fetched once, and the page's colours and measures on its axes.
import { cssColor } from "../colors.js";
import { el } from "../dom.js";

/** @type {Promise<Plotly> | null} */
let loading = null;
/** plotly.js, which the server has beside this folder (kvdemo/web/assets.py). */
export const loadPlotly = () => (loading ??= new Promise((resolve, reject) => {
  const src = new URL("../../plotly.min.js", import.meta.url).href;
  document.head.append(el("script", { src, async: true, onload: () => resolve(window.Plotly), onerror: reject }));
}));

const axis = () => {
  const grid = cssColor("--kv-grid");
  return { color: cssColor("--kv-ink-3"), gridcolor: grid, zeroline: false, linecolor: grid, tickfont: { size: 11 },
    automargin: false, ticklabeloverflow: "allow" };
};

export const plotConfig = { displaylogo: false, showSendToCloud: false, displayModeBar: false, responsive: false, doubleClick: "reset" };

/** Names come from models and strategies; Plotly reads some markup, so what could be markup goes.
 * @type {(text: string) => string} */
export const plotName = (text) => text.replace(/[<>&]/g, "");

/** Around the plot, in pixels. */
export const MARGIN = { l: 68, r: 12, t: 8, b: 38 };

/** A layout in the page's colours. `x` and `y` are added to the axes, `more` to the whole.
 * @type {(element: Element, layout: PlotLayout) => object} */
export const plotLayout = (element, { x = {}, y = {}, ...more }) => {
  const ink = cssColor("--kv-ink-3");
  return {
    autosize: true,
    margin: MARGIN,
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { family: getComputedStyle(element).fontFamily, size: 11, color: ink },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: cssColor("--kv-float"), bordercolor: cssColor("--kv-grid"), font: { color: cssColor("--kv-ink"), size: 12 } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...axis(), showgrid: false, tickformat: ",d", ...x },
    yaxis: { ...axis(), rangemode: "tozero", tickformat: ",~f", nticks: 6, ...y },
    ...more,
  };
};
