#!/usr/bin/env node
// Writes unicode-sets.txt from the npm packages @unicode/unicode-8.0.0, -9.0.0, -16.0.0 and -17.0.0, looked for
// from the working directory. The steps of a tokenizer use the Unicode versions that the Rust core was built with:
// its expressions 16, its standard library 17, its older tables of punctuation 8 and of marks and normal forms 9.
//
// Lines: `= NAME …` begins a set, and lines of ranges FIRST-LAST in hexadecimal follow; `> NAME` begins a mapping,
// and lines of runs follow: FIRST-LAST+DELTA, FIRST-LAST/STEP+DELTA (either sign) or CODE>CODE.CODE….
import { createRequire } from "module";
import { writeFileSync } from "fs";
import { pathToFileURL } from "url";

const require = createRequire(pathToFileURL(`${process.cwd()}/`));
const at = (version, path) => pathToFileURL(require.resolve(`@unicode/unicode-${version}.0.0/${path}`)).href;
const load = async (version, path) => (await import(at(version, `${path}/code-points.mjs`))).default;
const hex = code => code.toString(16).toUpperCase();
const lines = [];

function wrapped(words) {
    for (let line = ""; words.length > 0 || line;) {
        if (words.length > 0 && line.length + words[0].length < 119) {
            line += (line ? " " : "") + words.shift();
        } else {
            lines.push(line);
            line = "";
        }
    }
}

function set(names, codes) {
    const sorted = [...new Set(codes)].sort((a, b) => a - b);
    const ranges = [];
    for (const code of sorted) {
        if (ranges.length > 0 && ranges.at(-1)[1] === code - 1) {
            ranges.at(-1)[1] = code;
        } else {
            ranges.push([code, code]);
        }
    }
    lines.push(`= ${names}`);
    wrapped(ranges.map(([first, last]) => (first === last ? hex(first) : `${hex(first)}-${hex(last)}`)));
}

function mapping(name, entries) {
    const runs = [];
    for (const [from, to] of [...entries].sort((a, b) => a[0] - b[0])) {
        const run = runs.at(-1);
        const delta = to.length === 1 ? to[0] - from : null;
        const step = run && from - run.last;
        if (run && delta !== null && run.delta === delta && (run.step === step || (run.step === 0 && step <= 2))) {
            run.step = step;
            run.last = from;
        } else {
            runs.push({ first: from, last: from, step: 0, delta, to });
        }
    }
    lines.push(`> ${name}`);
    wrapped(
        runs.map(({ first, last, step, delta, to }) => {
            if (delta === null) {
                return `${hex(first)}>${to.map(hex).join(".")}`;
            }
            const by = `${delta < 0 ? "-" : "+"}${hex(Math.abs(delta))}`;
            return `${hex(first)}-${hex(last)}${step > 1 ? `/${step}` : ""}${by}`;
        }),
    );
}

const categories = {
    Lu: "Uppercase_Letter",
    Ll: "Lowercase_Letter",
    Lt: "Titlecase_Letter",
    Lm: "Modifier_Letter",
    Lo: "Other_Letter",
    Mn: "Nonspacing_Mark",
    Mc: "Spacing_Mark",
    Me: "Enclosing_Mark",
    Nd: "Decimal_Number",
    Nl: "Letter_Number",
    No: "Other_Number",
    Pc: "Connector_Punctuation",
    Pd: "Dash_Punctuation",
    Ps: "Open_Punctuation",
    Pe: "Close_Punctuation",
    Pi: "Initial_Punctuation",
    Pf: "Final_Punctuation",
    Po: "Other_Punctuation",
    Sm: "Math_Symbol",
    Sc: "Currency_Symbol",
    Sk: "Modifier_Symbol",
    So: "Other_Symbol",
    Zs: "Space_Separator",
    Zl: "Line_Separator",
    Zp: "Paragraph_Separator",
    Cc: "Control",
    Cf: "Format",
    Co: "Private_Use",
};
const properties = [
    "Alphabetic",
    "Lowercase",
    "Uppercase",
    "White_Space",
    "ASCII_Hex_Digit",
    "Hex_Digit",
    "Cased",
    "Case_Ignorable",
    "Dash",
    "Default_Ignorable_Code_Point",
    "Diacritic",
    "Emoji",
    "Emoji_Component",
    "Emoji_Modifier",
    "Emoji_Modifier_Base",
    "Emoji_Presentation",
    "Extended_Pictographic",
    "Extender",
    "Grapheme_Base",
    "Grapheme_Extend",
    "ID_Continue",
    "ID_Start",
    "Ideographic",
    "Join_Control",
    "Math",
    "Noncharacter_Code_Point",
    "Quotation_Mark",
    "Regional_Indicator",
    "Terminal_Punctuation",
    "Unified_Ideograph",
    "Variation_Selector",
    "XID_Continue",
    "XID_Start",
];
// The four-letter names of scripts, as ISO 15924 has them.
const codes =
    `Adlm Aghb Ahom Arab Armi Armn Avst Bali Bamu Bass Batk Beng Bhks Bopo Brah Brai Bugi Buhd Cakm Cans Cari
  Cham Cher Chrs Copt Cpmn Cprt Cyrl Deva Diak Dogr Dsrt Dupl Egyp Elba Elym Ethi Gara Geor Glag Gong Gonm Goth Gran
  Grek Gujr Gukh Guru Hang Hani Hano Hatr Hebr Hira Hluw Hmng Hmnp Hung Ital Java Kali Kana Kawi Khar Khmr Khoj Kits
  Knda Krai Kthi Lana Laoo Latn Lepc Limb Lina Linb Lisu Lyci Lydi Mahj Maka Mand Mani Marc Medf Mend Merc Mero Mlym
  Modi Mong Mroo Mtei Mult Mymr Nagm Nand Narb Nbat Newa Nkoo Nshu Ogam Olck Onao Orkh Orya Osge Osma Ougr Palm Pauc
  Perm Phag Phli Phlp Phnx Plrd Prti Rjng Rohg Runr Samr Sarb Saur Sgnw Shaw Shrd Sidd Sind Sinh Sogd Sogo Sora Soyo
  Sund Sunu Sylo Syrc Tagb Takr Tale Talu Taml Tang Tavt Telu Tfng Tglg Thaa Thai Tibt Tirh Tnsa Todr Toto Tutg Ugar
  Vaii Vith Wara Wcho Xpeo Xsux Yezi Yiii Zanb Zinh Zyyy`.split(/\s+/);

lines.push("# Unicode 16 unless a name ends in another version; made by unicode-sets.mjs");
for (const [short, long] of Object.entries(categories)) {
    set(`${short} ${long}`, await load(16, `General_Category/${long}`));
}
for (const property of properties) {
    set(property, await load(16, `Binary_Property/${property}`));
}
const all = (await import(at(16, "index.mjs"))).default;
for (const script of all.Script.filter(name => name !== "Unknown")) {
    const members = await load(16, `Script/${script}`);
    const sample = String.fromCodePoint(members[0]);
    const short = codes.find(code => new RegExp(`\\p{Script=${code}}`, "u").test(sample));
    set(`${script} ${short}`, members);
}
for (const block of all.Block.filter(name => name !== "undefined")) {
    set(`In_${block}`, await load(16, `Block/${block}`));
}
set("Number_17", await load(17, "General_Category/Number"));
set("Punctuation_8", await load(8, "General_Category/Punctuation"));
set("Nonspacing_Mark_8", await load(8, "General_Category/Nonspacing_Mark"));
set("Format_8", await load(8, "General_Category/Format"));
set("Mark_9", await load(9, "General_Category/Mark"));
set("Unassigned_9", await load(9, "General_Category/Unassigned"));
const folds = [...(await load(16, "Case_Folding/C")), ...(await load(16, "Case_Folding/F"))];
mapping(
    "Fold",
    folds.map(([from, to]) => [from, [to].flat()]),
);
const lower = new Map(await load(17, "Simple_Case_Mapping/Lowercase"));
for (const [from, to] of await load(17, "Special_Casing/Lowercase")) {
    lower.set(from, to);
}
mapping(
    "Lower_17",
    [...lower].map(([from, to]) => [from, [to].flat()]).filter(([from, to]) => to[0] !== from),
);
writeFileSync(new URL("unicode-sets.txt", import.meta.url), lines.join("\n") + "\n");
