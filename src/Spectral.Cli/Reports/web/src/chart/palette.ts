// Colours by slot. Any two can be told apart by the colour-blind: their distance in Oklab is at least 0.08 with normal
// sight and with protanopia, deuteranopia and tritanopia as Machado et al. (2009) simulate them, and 0.14 among the
// first four. The contrast of each with its page is at least 3 : 1. Further slots repeat the colours with other kinds
// of lines.
const LIGHT = ["#4963de", "#d26e5e", "#1a5d2f", "#6e2889", "#936823", "#af3767", "#2398a9", "#372a2d"];
const DARK = ["#2086f6", "#ed8a22", "#45e8e8", "#9a587f", "#d7d283", "#c83122", "#55b8f8", "#a29296"];
// Colours of a heat map for values above and below zero, on a light and on a dark page.
const HEAT = [
    ["#1c46c4", "#b8430d"],
    ["#5ea5ff", "#f28f3b"],
] as const;
const DASHES = ["none", "7 4", "2 3", "9 3 2 3"];

export const colourClass = (slot: number): string =>
    `c${slot % LIGHT.length} d${Math.floor(slot / LIGHT.length) % DASHES.length}`;

// Every rule has the class of the drawing, as a style inside a page also applies to other elements. There are no CSS
// variables, as programs that convert SVG do not know them.
const shades = (colours: string[], heat: readonly string[]): string =>
    colours
        .map((colour, i) => `.chart .c${i}{stroke:${colour}}.chart .fill.c${i}{fill:${colour};stroke:none}`)
        .join("") + heat.map((colour, i) => `.chart .h${i}{fill:${colour};stroke:none}`).join("");

/** The style of every drawing, in a page and in an SVG file. */
export const CHART_STYLE =
    ".chart{font:13px system-ui,sans-serif}.chart text{fill:#59636e;stroke:none}.chart .title{fill:#1f2328}" +
    ".chart text.title{font-size:15px;font-weight:600}" +
    ".chart .grid{stroke:#d8dee4;stroke-opacity:1}.chart .span{fill:#59636e;opacity:.1}.chart " +
    ".frame{fill:none;stroke:#d8dee4}" +
    shades(LIGHT, HEAT[0]) +
    ".chart .curve{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}.chart " +
    ".raw{stroke-width:1.2;opacity:.5}.chart .band{opacity:.2}.chart .range{opacity:.4}" +
    ".chart .mean{stroke-width:3}.chart .faint{opacity:.7}" +
    DASHES.map((dash, i) => `.chart .curve.d${i}{stroke-dasharray:${dash}}`)
        .slice(1)
        .join("") +
    "@media (prefers-color-scheme:dark){.chart text{fill:#9aa4af}.chart .title{fill:#e6edf3}.chart " +
    ".grid{stroke:#30363d}.chart .span{fill:#9aa4af}" +
    `.chart .frame{stroke:#30363d}${shades(DARK, HEAT[1])}}`;
