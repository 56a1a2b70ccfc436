import { exact } from "../chart/numbers";
import { tableElement } from "../table";
import { labelled } from "./matrices";
import type { Trace, TracedModule, TracedRecord } from "./types";

// The strongest colour of a token, in percent, with which text is still easy to read.
const STRONGEST = 60;

const shortName = (module: TracedModule): string => module.name.replace(/^model\./, "");

/** Makes the section on an adapter's rank-1 modules: their table, and records whose tokens are coloured by h. */
export function traceSection(trace: Trace): HTMLElement[] {
    const heading = Object.assign(document.createElement("h2"), { textContent: "Rank-1 modules, token by token" });
    const about = document.createElement("p");
    about.textContent =
        "A module of rank 1 adds h·b to the output of its layer, where h = a·x is one number per token and b is a " +
        `fixed direction. Statistics are over ${trace.tokens} tokens of ${trace.data}.` +
        (trace.skipped.length > 0 ? ` Not of rank 1, or not traced: ${trace.skipped.join(", ")}.` : "");
    const section = document.createElement("section");
    section.id = "trace";
    const select = document.createElement("select");
    select.append(...trace.modules.map((module) => new Option(shortName(module))));
    const controls = document.createElement("div");
    controls.className = "controls";
    controls.append(labelled("Module", select));
    const scale = document.createElement("p");
    const texts = document.createElement("div");
    const top = document.createElement("div");
    const show = (): void => {
        const at = select.selectedIndex;
        const module = trace.modules[at]!;
        scale.textContent =
            "Colours: h above zero in blue, below zero in orange, the strongest where |h| is " +
            `${exact(module.largest ?? 0)}. Below are the tokens with the largest |h| of all records.`;
        texts.replaceChildren(
            ...trace.records.map((record) => coloured(record, record.values[at]!, module.largest ?? 0)),
        );
        top.replaceChildren(topTable(module));
    };
    select.addEventListener("change", show);
    show();
    section.append(modulesTable(trace.modules), controls, scale, texts, top);
    return [heading, about, section];
}

function coloured(record: TracedRecord, values: (number | null)[], largest: number): HTMLElement {
    const line = document.createElement("p");
    line.className = "tokens";
    line.append(
        ...record.tokens.map((text, i) => {
            const value = values[i] ?? 0;
            const token = document.createElement("span");
            token.textContent = text;
            token.title = `h ${exact(value)}`;
            token.className = value < 0 ? "below" : "above";
            const share = largest > 0 ? Math.abs(value) / largest : 0;
            token.style.setProperty("--strength", `${Math.round(STRONGEST * share)}%`);
            return token;
        }),
    );
    return line;
}

function modulesTable(modules: TracedModule[]): HTMLElement {
    return tableElement(
        {
            columns: ["module", "‖b‖", "mean h", "deviation of h", "mean |h|", "largest |h|", "at token"],
            rows: modules.map((module) => [
                shortName(module),
                module.output_norm,
                module.mean,
                module.standard_deviation,
                module.mean_magnitude,
                module.largest,
                quoted(module.top[0]?.token ?? ""),
            ]),
        },
        "Rank-1 modules",
    );
}

function topTable(module: TracedModule): HTMLElement {
    return tableElement(
        {
            columns: ["token", "record", "position", "h"],
            rows: module.top.map((token) => [quoted(token.token), token.record + 1, token.position + 1, token.value]),
        },
        "Tokens with the largest |h|",
    );
}

/** A token in quotes, with its line breaks written out. */
const quoted = (token: string): string => `“${token.replaceAll("\n", "\\n")}”`;
