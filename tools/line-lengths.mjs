// Holds every line of our sources and prose to 120 columns:  node tools/line-lengths.mjs
// Prints FILE:LINE: LENGTH columns for each longer one and fails. Free of the limit are, in Markdown, tables,
// definitions of links and fenced blocks.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const limit = 120;
const patterns = [
    ...["cs", "cu", "cuh", "c", "cpp", "h", "ts", "mjs", "css", "html", "sh", "ps1", "md"],
    ...["csproj", "props", "targets", "yml", "yaml", "runsettings", "editorconfig"],
].map((ending) => `*.${ending}`);
const files = execFileSync("git", ["ls-files", "-z", "--", ...patterns, "*CMakeLists.txt", ".ci/run"], {
    encoding: "utf8",
});

const fence = /^\s*(```|~~~)/;
const free = /^\s*(\||\[[^\]]+\]: )/;

function* longLines(file) {
    const markdown = file.endsWith(".md");
    let inside = false;
    for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
        if (markdown && fence.test(line)) inside = !inside;
        const length = [...line].length;
        if (length > limit && !inside && !(markdown && free.test(line)))
            yield `${file}:${index + 1}: ${length} columns, at most ${limit}`;
    }
}

const found = files
    .split("\0")
    .filter(Boolean)
    .flatMap((file) => [...longLines(file)]);
found.forEach((line) => console.log(line));
process.exitCode = found.length > 0 ? 1 : 0;
