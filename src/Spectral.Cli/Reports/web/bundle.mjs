// Makes one script and one style sheet of src/, for every report to carry:  node bundle.mjs OUT-FOLDER
import { build } from "esbuild";

const out = process.argv[2];
if (!out) throw new Error("usage: node bundle.mjs OUT-FOLDER");
await build({
    entryPoints: { report: "src/main.ts", "report-style": "src/page.css" },
    outdir: out,
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2022", "chrome105", "firefox110", "safari16"],
    legalComments: "none",
    charset: "ascii", // the same bytes whatever a page's encoding is taken for
    logLevel: "warning",
});
