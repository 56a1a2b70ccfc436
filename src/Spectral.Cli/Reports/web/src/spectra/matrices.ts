import { tableElement } from "../table";
import type { Quantity } from "./quantities";
import { atTop, type Matrix, type Spectra, type States } from "./types";

function word(verdict: boolean | null): string {
    if (verdict === null) return "–";
    return verdict ? "yes" : "no";
}

/** The name of a matrix without the parts that all names share. */
export const shortName = (matrix: Matrix): string => matrix.name.replace(/^model\./, "").replace(/\.weight$/, "");

/**
 * Makes the table of all matrices. Its heads sort it, and it can be filtered by module and by a part of the name. A
 * click on a name chooses the matrix.
 */
export function matricesTable(spectra: Spectra, quantities: Quantity[], choose: (matrix: Matrix) => void): HTMLElement {
    const section = document.createElement("section");
    const controls = document.createElement("div");
    const count = document.createElement("p");
    const module = document.createElement("select");
    const name = Object.assign(document.createElement("input"), { type: "search" });
    controls.className = "controls";
    const modules = [...new Set(spectra.matrices.map((matrix) => matrix.module ?? "other"))];
    module.append(...["all modules", ...modules].map((text, i) => new Option(text, i === 0 ? "" : text)));
    controls.append(labelled("Module", module), labelled("Name contains", name));
    count.setAttribute("aria-live", "polite");

    const scroll = tableElement(
        {
            columns: [
                "matrix",
                "module",
                "layer",
                "shape",
                ...quantities.map((quantity) => quantity.head),
                "top grows",
                "top turns",
                "rest stays",
            ],
            rows: spectra.matrices.map((matrix) => [
                shortName(matrix),
                matrix.module ?? "other",
                matrix.layer,
                `${matrix.out} × ${matrix.in}`,
                ...quantities.map((quantity) => quantity.of(matrix)),
                word(matrix.verdict.amplifies_top),
                word(matrix.verdict.reorients_top),
                word(matrix.verdict.rest_stable),
            ]),
        },
        "Matrices",
    );
    scroll.id = "matrices";
    scroll.querySelectorAll<HTMLElement>("thead button").forEach((button, i) => {
        button.title = quantities[i - 4]?.label ?? "";
    });
    const rows = [...scroll.querySelector("tbody")!.rows].map((row, i) => ({ row, matrix: spectra.matrices[i]! }));
    for (const { row, matrix } of rows) {
        const button = Object.assign(document.createElement("button"), {
            type: "button",
            className: "link",
            textContent: shortName(matrix),
        });
        button.addEventListener("click", () => choose(matrix));
        row.cells[0]!.replaceChildren(button);
    }
    const filter = (): void => {
        let shown = 0;
        for (const { row, matrix } of rows) {
            row.hidden = !(
                (module.value === "" || (matrix.module ?? "other") === module.value) &&
                matrix.name.toLowerCase().includes(name.value.toLowerCase())
            );
            if (!row.hidden) shown++;
        }
        count.textContent = `${shown} of ${rows.length} matrices`;
    };
    module.addEventListener("change", filter);
    name.addEventListener("input", filter);
    filter();
    section.append(controls, count, scroll);
    return section;
}

/** Puts a label before a field. */
export function labelled(text: string, field: HTMLElement): HTMLLabelElement {
    const label = document.createElement("label");
    label.append(text, field);
    return label;
}

const STATES: [States, string][] = [
    ["base", "base"],
    ["tuned", "tuned"],
    ["change", "Δ"],
];

/** Makes the table that compares a matrix's entries with independent ones. */
export function independenceTable(matrix: Matrix): HTMLElement {
    return tableElement(
        {
            columns: [
                "entries of",
                "rows",
                "rows, z",
                "columns",
                "columns, z",
                "values beyond",
                "energy beyond, %",
                "distance",
            ],
            rows: STATES.map(([key, name]) => {
                const one = matrix.independence[key];
                return [
                    name,
                    one.rows,
                    one.rows_z,
                    one.columns,
                    one.columns_z,
                    one.beyond,
                    one.energy_beyond === null ? null : 100 * one.energy_beyond,
                    one.distance,
                ];
            }),
        },
        "Independence of the entries",
    );
}

/** Makes the table with the statistics of a matrix's entries. */
export function entriesTable(matrix: Matrix): HTMLElement {
    return tableElement(
        {
            columns: [
                "entries of",
                "mean",
                "standard deviation",
                "skewness",
                "excess kurtosis",
                "Kolmogorov–Smirnov distance",
                "p",
            ],
            rows: STATES.map(([key, name]) => {
                const entries = matrix.entries[key];
                return [
                    name,
                    entries.mean,
                    entries.standard_deviation,
                    entries.skewness,
                    entries.excess_kurtosis,
                    entries.kolmogorov_smirnov,
                    entries.p_value,
                ];
            }),
        },
        "Statistics of the entries",
    );
}

/** The shape of a matrix and the size of its change, in a sentence. */
export function factsOf(matrix: Matrix): string {
    const share = atTop(matrix, matrix.amplification)?.share;
    const percent = (value: number | null | undefined) => (value == null ? "–" : `${(100 * value).toPrecision(3)} %`);
    const grown =
        share == null
            ? ""
            : `; ${percent(share)} of the change of singular values is growth of the top ${matrix.top_k}`;
    return `${matrix.out} × ${matrix.in}, ${matrix.svd.method} SVD; ‖Δ‖/‖W‖ ${percent(matrix.norms.relative)}${grown}.`;
}
