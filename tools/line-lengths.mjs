// Holds every line of our sources and prose to 120 columns:  node tools/line-lengths.mjs
// Prints FILE:LINE: LENGTH columns for each longer one and fails. Free of the limit are, in Markdown, tables,
// definitions of links and fenced blocks, and in C# raw and verbatim strings: they hold another language as it is.
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

// Which lines of a kind of file begin or end a free block, and which are free by themselves.
const exceptions = {
    md: { fence: /^\s*(```|~~~)/, free: /^\s*(\||\[[^\]]+\]: )/ },
    cs: { fence: /^(?:(?!""").)*"""(?!.*""")/, free: /"""|@"/ },
};
const none = { fence: /(?!)/, free: /(?!)/ }; // match nothing

function* longLines(file) {
    const { fence, free } = exceptions[file.split(".").at(-1)] ?? none;
    let inside = false;
    for (const [index, line] of readFileSync(file, "utf8").split("\n").entries()) {
        if (fence.test(line)) inside = !inside;
        const length = [...line].length;
        if (length > limit && !inside && !free.test(line))
            yield `${file}:${index + 1}: ${length} columns, at most ${limit}`;
    }
}

const found = files
    .split("\0")
    .filter(Boolean)
    .flatMap((file) => [...longLines(file)]);
found.forEach((line) => console.log(line));
process.exitCode = found.length > 0 ? 1 : 0;
