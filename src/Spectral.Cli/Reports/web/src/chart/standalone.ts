import type { Chart } from "../model";
import { draw } from "./draw";
import { keyOf } from "./key";
import { CHART_STYLE } from "./palette";

const TITLE = 26;

/**
 * Returns a chart as an SVG file with its title, its legend and its style, which follows the reader's light or dark
 * setting.
 */
export function standalone(chart: Chart, width: number): string {
    const svg = dressed(chart, width).svg;
    const title = document.createElementNS("http://www.w3.org/2000/svg", "text");
    title.setAttribute("class", "title");
    title.setAttribute("x", "4");
    title.setAttribute("text-anchor", "start");
    title.textContent = chart.title;
    const top = Number(svg.viewBox.baseVal.y) - TITLE;
    const height = svg.viewBox.baseVal.height + TITLE;
    title.setAttribute("y", String(top + 17));
    svg.setAttribute("viewBox", `0 ${top} ${width} ${height}`);
    svg.setAttribute("height", String(height));
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", chart.explanation ? `${chart.title}. ${chart.explanation}` : chart.title);
    svg.removeAttribute("fill");
    svg.querySelector("style")?.remove();
    const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
    style.textContent = CHART_STYLE;
    svg.prepend(style, title);
    return new XMLSerializer().serializeToString(svg) + "\n";
}

/** Draws a chart with its legend above it. */
export function dressed(chart: Chart, width: number): ReturnType<typeof draw> {
    const drawing = draw(chart, width);
    const key = keyOf(chart, width);
    key.group.setAttribute("transform", `translate(0,${-key.height})`);
    const height = drawing.svg.viewBox.baseVal.height + key.height;
    drawing.svg.setAttribute("viewBox", `0 ${-key.height} ${width} ${height}`);
    drawing.svg.setAttribute("height", String(height));
    drawing.svg.append(key.group);
    return drawing;
}
