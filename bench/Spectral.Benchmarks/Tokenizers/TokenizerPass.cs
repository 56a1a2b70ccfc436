using Spectral.Training.Tokenization;

namespace Spectral.Benchmarks.Tokenizers;

/// <summary>One pass of one tokenizer over all records, from an empty cache.</summary>
/// <param name="Seconds">Processor time of the whole process while it encoded, collection and compilation
/// included.</param>
/// <param name="Tokens">How many ids came out.</param>
/// <param name="Hashes">A hash of the ids of each record, to compare two implementations by.</param>
internal sealed record TokenizerPass(double Seconds, long Tokens, int[] Hashes)
{
    /// <summary>Loads the tokenizer, which is not timed, and encodes the records, which is.</summary>
    public static TokenizerPass Run(string folder, string[] records)
    {
        var tokenizer = BpeTokenizer.Load(folder);
        int[] hashes = new int[records.Length];
        long tokens = 0;
        GC.Collect();
        TimeSpan before = Environment.CpuUsage.TotalTime;
        for (int i = 0; i < records.Length; i++)
        {
            int[] ids = tokenizer.Encode(records[i], addSpecialTokens: false);
            tokens += ids.Length;
            hashes[i] = Hash(ids);
        }
        return new TokenizerPass((Environment.CpuUsage.TotalTime - before).TotalSeconds, tokens, hashes);
    }

    // FNV-1a over the ids, as bench/peers/tokenizers.mjs has it.
    private static int Hash(int[] ids)
    {
        uint hash = 2166136261;
        foreach (int id in ids)
            hash = (hash ^ (uint)id) * 16777619;
        return (int)hash;
    }
}
