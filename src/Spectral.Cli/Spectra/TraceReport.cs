using Spectral.Training.Tokenization;
using Spectral.Training.Traces;

namespace Spectral.Cli.Spectra;

/// <summary>The scalars of rank-1 modules over records, with the tokens as text.</summary>
/// <param name="Data">The file of the records, as given.</param>
/// <param name="Tokens">The number of tokens of all records.</param>
/// <param name="Modules">The modules and their statistics.</param>
/// <param name="Skipped">The names of adapted layers that are not traced.</param>
/// <param name="Records">The first records.</param>
internal sealed record TraceReport(
    string Data,
    long Tokens,
    IReadOnlyList<ReportedModule> Modules,
    IReadOnlyList<string> Skipped,
    IReadOnlyList<ReportedRecord> Records
)
{
    /// <summary>Gives the tokens of a trace their texts.</summary>
    public static TraceReport Of(string data, RankOneTraces traces, BpeTokenizer tokenizer) =>
        new(
            data,
            traces.Tokens,
            [
                .. traces.Modules.Select(module => new ReportedModule(
                    module.Name,
                    module.OutputNorm,
                    module.Mean,
                    module.StandardDeviation,
                    module.MeanMagnitude,
                    module.Largest,
                    [
                        .. module.Top.Select(token => new ReportedToken(
                            token.Record,
                            token.Position,
                            Text(token.Token, tokenizer),
                            token.Value
                        )),
                    ]
                )),
            ],
            traces.Skipped,
            [
                .. traces.Records.Select(record => new ReportedRecord(
                    [.. record.Tokens.Select(id => Text(id, tokenizer))],
                    record.Values
                )),
            ]
        );

    private static string Text(int id, BpeTokenizer tokenizer) =>
        tokenizer.Decode([id], skipSpecialTokens: false) is { Length: > 0 } text
            ? text
            : tokenizer.TokenOf(id) ?? $"{id}";
}

/// <summary>A rank-1 module; <see cref="TracedModule"/> explains the numbers.</summary>
internal sealed record ReportedModule(
    string Name,
    double OutputNorm,
    double Mean,
    double StandardDeviation,
    double MeanMagnitude,
    double Largest,
    IReadOnlyList<ReportedToken> Top
);

/// <summary>A token at which a module was especially active.</summary>
internal sealed record ReportedToken(int Record, int Position, string Token, double Value);

/// <summary>A record as texts of tokens, and the scalars [modules][tokens].</summary>
internal sealed record ReportedRecord(string[] Tokens, IReadOnlyList<double[]> Values);
