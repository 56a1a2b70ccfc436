using System.Globalization;
using System.Text;
using Spectral.Training.Compression;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Compression.Methods;

/// <summary>
/// <c>docs/compression.md</c> is generated from the compression methods' own descriptions. After a change of a method,
/// run this test with SPECTRAL_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class CompressionDocumentTests
{
    [Test]
    public void TheDocumentIsWhatTheMethodsSay() => GeneratedDocument.Verify("compression.md", Document());

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Compression methods

            `spectral compress --method NAME --input DIR --out DIR` stores the change that an adapter makes in less
            space. `spectral compress --list` shows the table below, and `--list --method NAME` everything about one
            method. A test writes this file from the methods' own descriptions.

            It prints, and with `--json` writes, the bytes of the weights' file before and after, the bits that are
            stored per parameter of the dense change, the rank of each layer, and the errors of each layer and of all:
            the Frobenius norm of what is dropped, relative to that of the change. Rounding to `--dtype` is not counted.

            `--rank R` keeps at most rank R in each layer. `--energy E` keeps, in each layer, the smallest rank whose
            share of the squared Frobenius norm is at least E. Layers of different ranks are written with PEFT's
            `rank_pattern` and `alpha_pattern`; for programs that do not know these, `spectral export` pads all layers
            to one rank.

            | method | options | source |
            | --- | --- | --- |

            """
        );
        foreach (CompressionMethod method in CompressionMethods.All)
            text.Append($"| [{method.Name}](#{method.Name}) | {Options(method)} | {From(method)} |\n");
        foreach (CompressionMethod method in CompressionMethods.All)
        {
            text.Append($"\n## {method.Name}\n\n");
            text.Append(GeneratedDocument.Wrap($"`{method.Formula}`"));
            text.Append('\n').Append(GeneratedDocument.Wrap($"{method.Use} Source: {From(method)}."));
        }
        return text.ToString();
    }

    private static string From(CompressionMethod method) =>
        method.IsPublishedForm ? method.Source : $"after {method.Source}";

    private static string Options(CompressionMethod method)
    {
        List<string> options = [];
        if (method.Uses.HasFlag(CompressionUses.Rank))
            options.Add("`--rank`");
        if (method.Uses.HasFlag(CompressionUses.Energy))
            options.Add(string.Create(CultureInfo.InvariantCulture, $"`--energy {method.DefaultEnergy}`"));
        return string.Join(", ", options);
    }
}
