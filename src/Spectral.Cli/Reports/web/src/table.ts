import { exact } from "./chart/numbers";
import type { DataTable } from "./model";

const TEXT = new Intl.Collator("en", { numeric: true });

/** Makes the column heads of a table buttons that sort its rows; rows without a value stay last. */
export function sortable(table: HTMLTableElement): void {
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    heads.forEach((head, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.append(...head.childNodes);
        head.append(button);
        button.addEventListener("click", () => {
            const down = head.getAttribute("aria-sort") === "ascending";
            for (const other of heads) other.removeAttribute("aria-sort");
            head.setAttribute("aria-sort", down ? "descending" : "ascending");
            sort(table, column, down);
        });
    });
}

function sort(table: HTMLTableElement, column: number, down: boolean): void {
    const body = table.tBodies[0];
    if (!body) return;
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row.cells[column]) }));
    rows.sort((a, b) => {
        if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
        const order =
            typeof a.value === "number" && typeof b.value === "number"
                ? a.value - b.value
                : TEXT.compare(String(a.value), String(b.value));
        return down ? -order : order;
    });
    body.append(...rows.map((entry) => entry.row));
}

/** The number that a cell has in data-value, or else its text; null for an empty data-value. */
function valueOf(cell: HTMLTableCellElement | undefined): number | string | null {
    const stated = cell?.dataset["value"];
    if (stated !== undefined) return stated === "" ? null : Number(stated);
    return cell?.textContent ?? null;
}

function textOf(value: string | number | null): string {
    if (value === null) return "\u2013";
    return typeof value === "number" ? exact(value) : value;
}

/** Makes a table in a box that scrolls if the table is too wide, also by keys. */
export function tableElement(data: DataTable, label: string): HTMLDivElement {
    const scroll = document.createElement("div");
    const table = document.createElement("table");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", label);
    const numeric = data.columns.map((_, i) => data.rows.every((row) => row[i] === null || typeof row[i] === "number"));
    const head = table.createTHead().insertRow();
    data.columns.forEach((name, i) => {
        const cell = document.createElement("th");
        cell.scope = "col";
        if (numeric[i]) cell.className = "number";
        cell.textContent = name;
        head.append(cell);
    });
    const body = table.createTBody();
    for (const values of data.rows) {
        const row = body.insertRow();
        values.forEach((value, i) => {
            const cell = i === 0 ? document.createElement("th") : document.createElement("td");
            if (i === 0) (cell as HTMLTableCellElement).scope = "row";
            if (numeric[i]) {
                cell.className = "number";
                cell.dataset["value"] = value === null ? "" : String(value);
            }
            cell.textContent = textOf(value);
            row.append(cell);
        });
    }
    sortable(table);
    scroll.append(table);
    return scroll;
}
