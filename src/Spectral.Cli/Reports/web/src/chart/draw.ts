import type { Chart, DataTable, Drawing } from "../model";
import { drawCurves, tableOfCurves } from "./curves";
import { drawGrid, tableOfGrid } from "./grid";
import { drawStrip, tableOfStrip } from "./strip";

export function draw(chart: Chart, width: number): Drawing {
    switch (chart.kind) {
        case "curves":
            return drawCurves(chart, width);
        case "strip":
            return drawStrip(chart, width);
        case "grid":
            return drawGrid(chart, width);
    }
}

/** Returns the data of a chart as a table. */
export function tableOf(chart: Chart): DataTable {
    switch (chart.kind) {
        case "curves":
            return tableOfCurves(chart);
        case "strip":
            return tableOfStrip(chart);
        case "grid":
            return tableOfGrid(chart);
    }
}
