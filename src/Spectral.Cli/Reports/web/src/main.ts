import { CHART_STYLE } from "./chart/palette";
import { standalone } from "./chart/standalone";
import { Figure, FILE_WIDTH } from "./figure";
import { follow } from "./live";
import type { Chart } from "./model";
import { chooser } from "./shown";
import { spectraPage } from "./spectra/page";
import type { Spectra } from "./spectra/types";
import { sortable } from "./table";

interface PageData {
    charts: Chart[];
    /** Names of series that all charts have; a box shows and hides each. */
    names?: string[];
    spectra?: Spectra;
    /** Whether the page is of a run that goes on. */
    live?: boolean;
}

const data = JSON.parse(document.getElementById("data")!.textContent!) as PageData;
document.head.append(Object.assign(document.createElement("style"), { textContent: CHART_STYLE }));
for (const table of document.querySelectorAll<HTMLTableElement>("table.sortable")) sortable(table);

// With "#svg=ID" in its address, the page becomes the text of that chart's SVG file, for programs that make figures
// from reports. Other parameters choose what the charts show.
const asked = new URLSearchParams(location.hash.slice(1));
const figures = data.charts.map((chart) => new Figure(chart));
for (const figure of figures)
    document.querySelector(`[data-chart="${CSS.escape(figure.shown.id)}"]`)!.replaceWith(figure.element);
if (data.names) document.querySelector("[data-chooser]")?.replaceWith(chooser(data.names, figures));
if (data.spectra) figures.push(...spectraPage(data.spectra, document.querySelector("[data-spectra]")!, asked));

if (data.live) follow(figures[0]!, document.querySelector("[data-summary]")!);

const wanted = asked.get("svg");
if (wanted !== null) {
    const figure = figures.find((one) => one.shown.id === wanted);
    const text = document.createElement("pre");
    text.id = figure ? "svg" : "no-such-chart";
    text.textContent = figure ? standalone(figure.shown, FILE_WIDTH) : figures.map((one) => one.shown.id).join(" ");
    document.body.replaceChildren(text);
}
