using System.Diagnostics;
using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Benchmarks.Tokenizers;

/// <summary>
/// The Hugging Face Rust core in a node process of its own, which encodes the same records when it is told to.
/// </summary>
internal sealed class TokenizerPeer : IDisposable
{
    private static readonly JsonSerializerOptions Names = new() { PropertyNameCaseInsensitive = true };

    private readonly string _records = Path.GetTempFileName();
    private readonly Process _process;

    public TokenizerPeer(string script, string modules, string[] records)
    {
        File.WriteAllText(_records, JsonSerializer.Serialize(records));
        var start = new ProcessStartInfo("node", [script, Path.GetFullPath(modules), _records])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        // One thread, as on this side.
        start.Environment["TOKENIZERS_PARALLELISM"] = "false";
        start.Environment["RAYON_NUM_THREADS"] = "1";
        _process = Process.Start(start)!;
    }

    /// <summary>One pass with a tokenizer loaded afresh.</summary>
    /// <exception cref="InputException">The peer cannot use the file.</exception>
    public TokenizerPass Run(string folder)
    {
        _process.StandardInput.WriteLine(Path.GetFullPath(Path.Combine(folder, "tokenizer.json")));
        string answer = _process.StandardOutput.ReadLine() ?? throw new IOException("the peer has ended: see above");
        return answer.StartsWith('{')
            ? JsonSerializer.Deserialize<TokenizerPass>(answer, Names)!
            : throw new InputException($"{folder}: {answer}");
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
        File.Delete(_records);
    }
}
