using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Training.Gguf.Export;
using Spectral.Training.Merging;

namespace Spectral.Cli.Merging;

/// <summary>What a merge has written.</summary>
/// <param name="Tensors">The number of tensors.</param>
/// <param name="Lora">What the LoRA of --as-adapter lacks; null: a checkpoint was written.</param>
/// <param name="Gguf">What a GGUF file has; null: a folder was written.</param>
internal sealed record MadeMerge(int Tensors, LowRankResult? Lora, GgufResult? Gguf = null)
{
    /// <summary>Writes a merge into a folder, or as a file.</summary>
    /// <param name="merge">The merge.</param>
    /// <param name="form">What to write.</param>
    /// <param name="folder">An existing folder, or the file.</param>
    /// <param name="progress">Told of each tensor that is done.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    public static MadeMerge Write(
        ModelMerge merge,
        ResultForm form,
        string folder,
        Action<MergeProgress> progress,
        CancellationToken cancellation
    )
    {
        if (form.Gguf is { } file)
        {
            GgufResult made = merge.WriteGguf(folder, file.Type, progress, cancellation);
            return new MadeMerge(made.Tensors, null, made);
        }
        if (form.OfFactors)
            return new MadeMerge(merge.WriteFactors(folder, progress, cancellation), null);
        if (form.Rank is not { } chosen)
            return new MadeMerge(merge.Write(folder, progress, cancellation), null);
        LowRankResult lora = merge.WriteAdapter(folder, chosen, progress, cancellation);
        return new MadeMerge(lora.Tensors, lora);
    }

    /// <summary>Adds to the command's JSON object.</summary>
    public void Describe(JsonObject result, ResultForm form)
    {
        result["tensors"] = Tensors;
        if (Lora is null)
            return;
        result["rank"] = form.Rank;
        result["error"] = JsonOutput.Number(Lora.Error);
        result["left_out"] = JsonOutput.Array(Lora.LeftOut);
        result["layers"] = new JsonArray([
            .. Lora.Layers.Select(layer =>
                (JsonNode)
                    new JsonObject
                    {
                        ["name"] = layer.Name,
                        ["shape"] = new JsonArray(layer.Outputs, layer.Inputs),
                        ["error"] = JsonOutput.Number(layer.Error),
                    }
            ),
        ]);
    }

    public void Print(Terminal terminal, string folder)
    {
        if (Lora is not null)
        {
            terminal.Table(
                ["layer", "shape", "error"],
                [.. Lora.Layers.Select(layer => Row(layer.Name, $"{layer.Outputs} x {layer.Inputs}", layer.Error))]
            );
            terminal.Line(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the LoRA lacks {100 * Lora.Error:0.####} % of the change's norm"
                )
            );
        }
        terminal.Line($"wrote {Tensors} tensors to {folder}");
    }

    /// <summary>Warns of what the result lacks, or what will be computed otherwise.</summary>
    public void Warn(Terminal terminal)
    {
        foreach (string warning in Gguf?.Warnings ?? [])
            terminal.Warn(warning);
        if (Lora is { LeftOut: [var first, ..] })
        {
            terminal.Warn(
                $"{Lora.LeftOut.Count} changed tensors are no linear layers of blocks, such as {first}; the LoRA "
                    + "leaves them as in the base"
            );
        }
    }

    private static string[] Row(string name, string shape, double error) =>
        [name, shape, string.Create(CultureInfo.InvariantCulture, $"{100 * error:0.####} %")];
}
