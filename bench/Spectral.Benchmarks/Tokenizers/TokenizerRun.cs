using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Spectral.Training.IO;

namespace Spectral.Benchmarks.Tokenizers;

/// <summary>
/// How fast tokenizers encode, one thread, one line each. Times are processor time, so that what else a shared machine
/// does counts less; each run begins with an empty cache, as a first pass over a data set does.
/// </summary>
internal static class TokenizerRun
{
    private const string Layout = "{0,-24} {1,9} {2,9} {3,7} {4,-13} {5,7} {6,-13} {7,6}  {8}";

    /// <summary>Measures all tokenizers of a folder.</summary>
    /// <returns>0; 2 for arguments not understood; 1 when ids differ from the peer's or a file cannot be
    /// used.</returns>
    public static int Run(string[] arguments)
    {
        if (TokenizerRunOptions.Parse(arguments) is not { } options)
        {
            Console.Error.WriteLine(TokenizerRunOptions.Usage);
            return 2;
        }
        string text = options.Text is { } file ? File.ReadAllText(file) : GeneratedText.Of(5_000_000);
        string[] records = [.. Records(text, options.Record)];
        double megabytes = Encoding.UTF8.GetByteCount(text) / 1e6;
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{megabytes:F2} MB in {records.Length} records; median and range of {options.Rounds} runs, "
            ) + "MB per second of processor time"
        );
        Line("tokenizer", "tokens", "tokens/s", "MB/s", "range", "peer", "range", "ratio", "ids");
        using TokenizerPeer? peer = options.Peer is { } modules ? new TokenizerPeer(Script(), modules, records) : null;
        bool good = true;
        foreach (string folder in Folders(options))
        {
            // The first folder below the given one: packages hold their files deeper.
            string name = Path.GetRelativePath(options.Folder, folder).Split(Path.DirectorySeparatorChar)[0];
            try
            {
                good &= Measure(folder, name, options.Rounds, records, megabytes, peer);
            }
            catch (InputException e)
            {
                Console.WriteLine($"{name, -24} {e.Message}");
                good = false;
            }
        }
        return good ? 0 : 1;
    }

    // Whether the ids agree with the peer's, if there is one.
    private static bool Measure(
        string folder,
        string name,
        int rounds,
        string[] records,
        double megabytes,
        TokenizerPeer? peer
    )
    {
        List<TokenizerPass> ours = [];
        List<TokenizerPass> theirs = [];
        // Compiles what .NET compiles at first use; with a tokenizer of its own, so that no cache is filled.
        TokenizerPass.Run(folder, records[..Math.Min(records.Length, 200)]);
        for (int round = 0; round < rounds; round++)
        {
            ours.Add(TokenizerPass.Run(folder, records));
            if (peer is not null)
                theirs.Add(peer.Run(folder));
        }
        PassRates rates = new(ours, megabytes);
        double tokensPerMegabyte = ours[0].Tokens / megabytes;
        string tokens = ours[0].Tokens.ToString(CultureInfo.InvariantCulture);
        if (theirs.Count == 0)
        {
            Line(
                name,
                tokens,
                tokensPerMegabyte * rates.Median,
                rates.Median,
                rates.Range,
                "-",
                "-",
                "-",
                "not compared"
            );
            return true;
        }
        PassRates peerRates = new(theirs, megabytes);
        int different = ours[0].Hashes.Zip(theirs[0].Hashes).Count(pair => pair.First != pair.Second);
        Line(
            name,
            tokens,
            tokensPerMegabyte * rates.Median,
            rates.Median,
            rates.Range,
            peerRates.Median,
            peerRates.Range,
            rates.Median / peerRates.Median,
            different == 0 ? "equal" : $"{different} records differ"
        );
        return different == 0;
    }

    // Numbers from a thousand are counts, others rates.
    private static void Line(params ReadOnlySpan<object> cells)
    {
        object[] texts = new object[cells.Length];
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i] = cells[i] is double number
                ? number.ToString(number >= 1000 ? "F0" : "F2", CultureInfo.InvariantCulture)
                : cells[i];
        }
        Console.WriteLine(string.Format(CultureInfo.InvariantCulture, Layout, texts));
    }

    private static IEnumerable<string> Folders(TokenizerRunOptions options) =>
        Directory
            .EnumerateFiles(options.Folder, "tokenizer.json", SearchOption.AllDirectories)
            .Select(file => Path.GetDirectoryName(file)!)
            .Where(folder => folder.Contains(options.Filter, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    private static IEnumerable<string> Records(string text, int length)
    {
        for (int at = 0; at < text.Length; )
        {
            int end = text.IndexOf('\n', (int)Math.Min(at + (long)length, text.Length));
            end = end < 0 ? text.Length : end + 1;
            yield return text[at..end];
            at = end;
        }
    }

    private static string Script([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "peers", "tokenizers.mjs"));
}
