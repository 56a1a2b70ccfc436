import { colourClass } from "./chart/palette";
import type { Figure } from "./figure";
import type { Chart } from "./model";

/**
 * Makes boxes that show and hide the series of each name in all charts of a page. While a box is pointed at or has the
 * focus, the other series are faded.
 */
export function chooser(names: string[], figures: Figure[]): HTMLFieldSetElement {
    const all = figures.map((figure) => figure.shown);
    const hidden = new Set<string>();
    const box = document.createElement("fieldset");
    box.className = "chooser";
    box.append(Object.assign(document.createElement("legend"), { textContent: "Show" }));
    names.forEach((name, slot) => {
        const label = document.createElement("label");
        const input = document.createElement("input");
        input.type = "checkbox";
        input.checked = true;
        input.addEventListener("change", () => {
            if (input.checked) hidden.delete(name);
            else hidden.add(name);
            figures.forEach((figure, i) => figure.update(without(all[i]!, hidden)));
        });
        const stress = (on: boolean) => (): void => {
            for (const figure of figures)
                for (const mark of figure.element.querySelectorAll("[class*=slot]"))
                    mark.classList.toggle("faded", on && !mark.classList.contains(`slot${slot}`));
        };
        label.addEventListener("pointerenter", stress(true));
        label.addEventListener("pointerleave", stress(false));
        input.addEventListener("focus", stress(true));
        input.addEventListener("blur", stress(false));
        label.append(input, sample(slot), name);
        box.append(label);
    });
    return box;
}

function without(chart: Chart, hidden: Set<string>): Chart {
    switch (chart.kind) {
        case "curves":
            return { ...chart, series: chart.series.filter((series) => !hidden.has(series.name)) };
        case "strip":
            return { ...chart, rows: chart.rows.filter((row) => !hidden.has(row.name)) };
        case "grid":
            return chart;
    }
}

function sample(slot: number): SVGSVGElement {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("class", "chart sample");
    svg.setAttribute("viewBox", "0 0 26 6");
    svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", "M0,3h26");
    line.setAttribute("class", `curve ${colourClass(slot)}`);
    svg.append(line);
    return svg;
}
