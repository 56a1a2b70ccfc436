import { Figure } from "../figure";
import { angles, chartsOf } from "./matrix";
import { entriesTable, factsOf, independenceTable, labelled, matricesTable, shortName } from "./matrices";
import { heatMap, intruderCounts, profile } from "./overview";
import { quantities } from "./quantities";
import { traceSection } from "./trace";
import type { Matrix, Spectra } from "./types";

/**
 * Replaces an element by the charts and tables of an analysis, and returns the figures it made. The parameters in asked
 * say what is selected first: quantity (from 1), matrix, side.
 */
export function spectraPage(spectra: Spectra, place: Element, asked: URLSearchParams): Figure[] {
    const all = quantities(spectra);
    const at = Math.max(0, Math.min(Number(asked.get("quantity") ?? 1) - 1, all.length - 1)) || 0;
    const overview = [
        new Figure(profile(spectra)),
        new Figure(heatMap(spectra, all[at]!)),
        new Figure(intruderCounts(spectra)),
    ];
    const [, map] = overview as [Figure, Figure, Figure];
    const quantity = selection(all.map((one) => one.label));
    quantity.selectedIndex = at;
    quantity.addEventListener("change", () => map.update(heatMap(spectra, all[quantity.selectedIndex]!)));
    map.controls.append(labelled("Quantity", quantity));

    // The matrix that changed most is shown first.
    const first =
        spectra.matrices.find((matrix) => shortName(matrix) === asked.get("matrix")) ??
        [...spectra.matrices].sort((a, b) => (b.norms.relative ?? 0) - (a.norms.relative ?? 0))[0];
    if (!first) {
        place.replaceWith(heading("Across the model"), ...overview.map((figure) => figure.element));
        return overview;
    }
    const single = chartsOf(first, spectra.settings.draws).map((chart) => new Figure(chart));
    const turned = new Figure(angles(first, "left"));
    const side = selection(["left", "right"]);
    const turn = (): void =>
        turned.update(angles(spectra.matrices[chosen.selectedIndex]!, side.value as "left" | "right"));
    side.value = asked.get("side") === "right" ? "right" : "left";
    side.addEventListener("change", turn);
    turned.controls.append(labelled("Side", side));
    const chosen = selection(spectra.matrices.map(shortName));
    const lines = document.createElement("ul");
    const facts = document.createElement("p");
    const entries = document.createElement("div");
    const independence = document.createElement("div");
    const show = (matrix: Matrix): void => {
        chosen.selectedIndex = spectra.matrices.indexOf(matrix);
        facts.textContent = factsOf(matrix);
        lines.replaceChildren(
            ...matrix.verdict.lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
        );
        chartsOf(matrix, spectra.settings.draws).forEach((chart, i) => single[i]!.update(chart));
        turn();
        entries.replaceChildren(entriesTable(matrix));
        independence.replaceChildren(independenceTable(matrix));
    };
    chosen.addEventListener("change", () => show(spectra.matrices[chosen.selectedIndex]!));
    const chooser = document.createElement("div");
    chooser.className = "controls sticky";
    chooser.id = "matrix";
    chooser.append(labelled("Matrix", chosen));
    show(first);
    place.replaceWith(
        heading("Across the model"),
        ...overview.map((figure) => figure.element),
        heading("All matrices"),
        matricesTable(spectra, all, (matrix) => {
            show(matrix);
            chosen.focus();
            chooser.scrollIntoView();
        }),
        heading("One matrix"),
        chooser,
        facts,
        lines,
        ...[...single, turned].map((figure) => figure.element),
        heading("Entries", "h3"),
        entries,
        heading("Independence of the entries", "h3"),
        Object.assign(document.createElement("p"), {
            textContent:
                "Mean squared correlation of two rows and of two columns, divided by that of independent entries; " +
                "singular values beyond the largest one of independent entries, and their share of ‖W‖²; distance of " +
                "the spectrum from the law of Marchenko and Pastur.",
        }),
        independence,
        ...(spectra.trace ? traceSection(spectra.trace) : []),
    );
    return [...overview, ...single, turned];
}

function selection(names: string[]): HTMLSelectElement {
    const select = document.createElement("select");
    select.append(...names.map((name) => new Option(name)));
    return select;
}

const heading = (text: string, level: "h2" | "h3" = "h2"): HTMLElement =>
    Object.assign(document.createElement(level), { textContent: text });
