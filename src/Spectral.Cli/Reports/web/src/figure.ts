import { Cursor } from "./chart/cursor";
import { draw, tableOf } from "./chart/draw";
import { dressed, standalone } from "./chart/standalone";
import type { Chart } from "./model";
import { tableElement } from "./table";

export const FILE_WIDTH = 720;

/** A chart on its page: title, drawing, tooltip, a button that saves it as a file, and its data as a table. */
export class Figure {
    readonly element = document.createElement("figure");
    /** The place for fields that choose what is shown. */
    readonly controls = document.createElement("div");
    private readonly heading = document.createElement("h3");
    private readonly explanation = document.createElement("p");
    private readonly plot = document.createElement("div");
    private readonly tip = document.createElement("div");
    private readonly details = document.createElement("details");
    private readonly cursor: Cursor;
    private drawing: SVGSVGElement | null = null;
    private width = 0;

    constructor(private chart: Chart) {
        const live = Object.assign(document.createElement("p"), { className: "aloud" });
        live.setAttribute("aria-live", "polite");
        this.element.id = chart.id;
        this.controls.className = "controls";
        this.plot.className = "plot";
        this.plot.tabIndex = 0;
        this.plot.setAttribute("role", "application");
        this.plot.setAttribute("aria-roledescription", "chart");
        this.tip.className = "tip";
        this.tip.hidden = true;
        this.plot.append(this.tip);
        this.details.append(Object.assign(document.createElement("summary"), { textContent: "Data" }));
        this.details.addEventListener("toggle", () => this.listData());
        const save = Object.assign(document.createElement("button"), { type: "button", textContent: "Save SVG" });
        save.addEventListener("click", () => this.save());
        const tools = Object.assign(document.createElement("div"), { className: "tools" });
        tools.append(save, this.details);
        const caption = document.createElement("figcaption");
        caption.append(this.heading, this.explanation);
        this.element.append(caption, this.controls, this.plot, live, tools);
        this.cursor = new Cursor(this.plot, this.tip, live);
        new ResizeObserver(() => this.resize()).observe(this.plot);
        this.update(chart);
    }

    /** Shows another chart, or the same one with other data. */
    update(chart: Chart): void {
        this.chart = chart;
        this.heading.textContent = chart.title;
        this.explanation.textContent = chart.explanation ?? "";
        this.plot.setAttribute("aria-label", `${chart.title}. Arrow keys move along the points.`);
        if (this.width > 0) this.redraw();
        this.listData();
    }

    get shown(): Chart {
        return this.chart;
    }

    private resize(): void {
        const width = Math.floor(this.plot.clientWidth);
        if (width === this.width || width === 0) return;
        this.width = width;
        this.redraw();
    }

    private redraw(): void {
        const drawing =
            this.chart.kind === "curves" && this.chart.keyed
                ? draw(this.chart, this.width)
                : dressed(this.chart, this.width);
        drawing.svg.setAttribute("aria-hidden", "true");
        if (this.drawing) this.drawing.replaceWith(drawing.svg);
        else this.plot.prepend(drawing.svg);
        this.drawing = drawing.svg;
        this.cursor.show(drawing);
    }

    /** Makes the rows of the table only when it is opened, as most never are. */
    private listData(): void {
        this.details.querySelector(".scroll")?.remove();
        if (this.details.open) this.details.append(tableElement(tableOf(this.chart), `Data of ${this.chart.title}`));
    }

    private save(): void {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([standalone(this.chart, FILE_WIDTH)], { type: "image/svg+xml" }));
        link.download = `${this.chart.id}.svg`;
        link.click();
        URL.revokeObjectURL(link.href);
    }
}
