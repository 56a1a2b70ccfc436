import type { Chart, Series } from "../model";
import { shortened } from "./numbers";
import { colourClass } from "./palette";

const SVG = "http://www.w3.org/2000/svg";
const SAMPLE = 26;
const GAP = 18;
const LETTER = 7;
const LINE = 22;

/** Draws the legend of a chart in rows that fit a width, and returns its height. */
export function keyOf(chart: Chart, width: number): { group: SVGGElement; height: number } {
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", "key");
    group.setAttribute("text-anchor", "start");
    const named = chart.kind === "curves" ? chart.series.filter((series) => series.points.length > 0) : [];
    let x = 4;
    let y = named.length > 0 ? LINE : 0;
    for (const series of named) {
        const name = shortened(series.name, (width - SAMPLE - 10) / LETTER);
        const room = SAMPLE + 6 + LETTER * name.length;
        if (x > 4 && x + room > width) {
            x = 4;
            y += LINE;
        }
        const label = document.createElementNS(SVG, "text");
        label.setAttribute("x", String(x + SAMPLE + 6));
        label.setAttribute("y", String(y - 6));
        label.textContent = name;
        group.append(...sample(series, x, y - 10), label);
        x += room + GAP;
    }
    return { group, height: y };
}

/** Draws a sample of a series. */
function sample(series: Series, x: number, y: number): SVGElement[] {
    const look = series.look ?? "line";
    const made: SVGElement[] = [];
    const add = (name: string, kind: string, attributes: Record<string, string | number>): void => {
        const part = document.createElementNS(SVG, name);
        part.setAttribute("class", `${kind} ${colourClass(series.slot)}`);
        for (const [attribute, value] of Object.entries(attributes)) part.setAttribute(attribute, String(value));
        made.push(part);
    };
    if (look === "band") add("rect", "fill range", { x, y: y - 6, width: SAMPLE, height: 12 });
    else if (look !== "marks" && series.points.length !== 1)
        add("path", `curve ${look}`, { d: `M${x},${y}h${SAMPLE}` });
    if (look === "dots" || look === "marks" || series.points.length === 1)
        add("circle", "fill", { cx: x + SAMPLE / 2, cy: y, r: 3.5 });
    return made;
}
