// What every chart shares: plotly.js, fetched once, and the page's colours and measures on its axes.
(() => {
  const kv = window.kvdemo;
  const { el } = kv;

  let loading = null;
  /** plotly.js, fetched once, from this server and behind whatever path a proxy gave it. */
  kv.plotly = () => (loading ??= new Promise((resolve, reject) => {
    const root = (window.gradio_config?.root ?? "").replace(/\/$/, "");
    const src = `${root}/gradio_api/file=${kv.plotlyPath.split("/").map(encodeURIComponent).join("/")}`;
    document.head.append(el("script", { src, async: true, onload: () => resolve(window.Plotly), onerror: reject }));
  }));

  const axis = () => {
    const grid = kv.color("--kv-grid");
    return { color: kv.color("--kv-ink-3"), gridcolor: grid, zeroline: false, linecolor: grid, tickfont: { size: 11 },
      automargin: false, ticklabeloverflow: "allow" };
  };

  kv.plot = {
    config: { displaylogo: false, showSendToCloud: false, displayModeBar: false, responsive: false, doubleClick: "reset" },

    /** Names come from models and strategies; Plotly reads some markup, so what could be markup goes. */
    name: (text) => String(text).replace(/[<>&]/g, ""),

    /** A layout in the page's colours. `x` and `y` are added to the axes, `more` to the whole. */
    layout(element, { x = {}, y = {}, ...more }) {
      const ink = kv.color("--kv-ink-3");
      return {
        autosize: true,
        margin: { l: 58, r: 12, t: 8, b: 38 },
        paper_bgcolor: "transparent",
        plot_bgcolor: "transparent",
        font: { family: getComputedStyle(element).fontFamily, size: 11, color: ink },
        showlegend: false,
        hovermode: "x unified",
        hoverlabel: { bgcolor: kv.color("--kv-float"), bordercolor: kv.color("--kv-grid"), font: { color: kv.color("--kv-ink"), size: 12 } },
        dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
        xaxis: { ...axis(), showgrid: false, tickformat: ",d", ...x },
        yaxis: { ...axis(), rangemode: "tozero", tickformat: ",~f", nticks: 6, ...y },
        ...more,
      };
    },
  };

  /** Keeps a chart as large as its frame; one that is not on show keeps what it has until it is. */
  kv.fitPlot = (frame, plot, library) => new ResizeObserver(() => {
    if (library() && plot.data && frame.clientWidth && frame.clientHeight) library().Plots.resize(plot);
  }).observe(frame);
})();
