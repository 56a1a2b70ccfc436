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

    [Test]
    public void EveryMethodSaysWhatItIsForAndWhereItIsFrom() =>
        GeneratedDocument.VerifyDescriptions(CompressionMethods.All);

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Compression methods

            `spectral compress --method NAME --input DIR --out DIR` stores the change that an adapter or a tuned
            checkpoint makes in less space. `spectral compress --list` shows the table below, and `--list --method NAME`
            everything about one method. A test writes this file from the methods' own descriptions.

            It prints, and with `--json` writes, the bytes of the weights' files before and after, the bits that are
            stored per parameter of the dense change, and the errors of each layer and of all: the Frobenius norm of
            what is lost, relative to that of the change. Rounding to `--dtype` is not counted. `--page FILE` writes the
            same as a page.

            The result appears whole or not at all. A killed process leaves a hidden folder, `.OUT.NUMBER.partial`
            beside the result or `.NUMBER.partial` in it, which the next command with the same `--out` removes, as do
            `spectral merge` and all others that write a folder.

            `--rank R` keeps at most rank R in each layer. `--energy E` keeps, in each layer, the smallest rank whose
            share of the squared Frobenius norm is at least E. Layers of different ranks are written with PEFT's
            `rank_pattern` and `alpha_pattern`; for programs that do not know these, `spectral export` pads all layers
            to one rank.

            ## Changes of a base

            Methods that need `--model` compress the change of the base's weights. The input is a tuned checkpoint or an
            adapter of any kind. The change of each linear weight of the blocks is packed. Embedding, head, norms and
            biases are stored whole where they differ from the base's, as tuned, in the type of the base or in that of
            `--dtype`; the command lists them.

            Methods with `--data FILE` can calibrate on records (`--batch`, `--max-length` as in `spectral eval`): the
            tuned model runs on them, and the inputs of its layers decide what may be lost. The command then gives, per
            layer and in all, the *output error* ‖X (ΔW − ΔŴ)ᵀ‖ / ‖X ΔWᵀ‖ beside that of the weights: the share of what
            the change ΔW adds to the outputs that the stored ΔŴ loses, X the inputs that the layer has on the records.
            Both errors stand beside those of the same bits rounded to the nearest levels, which calibration is to beat
            in the outputs and pays for in the weights. In the JSON object they are `output_error`, `nearest_error` and
            `nearest_output_error` in `calibrated`, which is null without `--data`.

            The result has the digests of the base's weights, and is refused on another base.

            ## Packed folders

            All methods but `lora-squeeze` write an adapter folder whose tensors are packed. `eval`, `generate`,
            `merge`, `export`, `analyze` and `finetune --init-adapter` open it like any other. PEFT cannot read it:
            `spectral export` writes what it can.

            | file | contents |
            | --- | --- |
            | `adapter_config.json` | the adapter that the unpacked tensors form, in PEFT's terms |
            | `packed_model.safetensors` | parts of packed tensors, named after them, and tensors stored whole |
            | `compression.json` | `format_version` 1, `method`, `settings`, `base_tensor_sha256`, `tensors` |

            Each of `tensors` has a `name`, a `codec`, a `shape` and what the codec needs. Codes of fewer than 8 bits
            follow each other in U8 tensors without gaps, the first in the lowest bits.

            * `bands`: the `vectors` of a matrix, `rows` or `columns`, in `bands`, each a `count` of vectors and the
              `bits` of their entries. Parts: `codes`; `scales` F16 [vectors, groups of 128 entries]; `norms` F32
              [vectors]. An entry is norm · scale · (code − 2^(bits − 1) + ½).
            * `codebook`: parts `codes`, each of `bits`; `levels` F32 [2^bits]. An entry is the level of its code.
            * `switch`: parts `mask`, a bit per entry; `signs`, a bit per entry in the mask, 1 for negative; `size` F32
              [1]. An entry in the mask is ± size, all others are 0.

            ## Folders of experts

            `spectral merge --method auto-flexswitch` packs several inputs into one folder, of which each prompt uses
            one ([merging.md](merging.md#auto-flexswitch)).

            | file | contents |
            | --- | --- |
            | `experts.json` | `format_version` 1, `method`, `neighbours`, `experts`, each with `name` and `folder` |
            | `queries.safetensors` | F32 [queries, hidden size] for each folder: features of prompts for it |
            | `expert-1/`, `expert-2/`, … | packed folders, adapters of their own |

            The feature of a prompt is the mean over its tokens of the base's last hidden states, after the final norm.
            Of the `neighbours` queries nearest to it, in the Euclidean distance, most belong to the expert that is
            taken; of experts with equally many, the one with the nearest query is.

            ## Methods

            | method | options | source |
            | --- | --- | --- |

            """
        );
        foreach (CompressionMethod method in CompressionMethods.All)
            text.Append($"| [{method.Name}](#{method.Name}) | {Options(method)} | {method.Origin} |\n");
        foreach (CompressionMethod method in CompressionMethods.All)
            text.Append(GeneratedDocument.Section(method));
        return text.ToString();
    }

    private static string Options(CompressionMethod method)
    {
        List<string> options = [];
        if (method.NeedsModel)
            options.Add("`--model`");
        if (method.Uses.HasFlag(CompressionUses.Rank))
            options.Add("`--rank`");
        if (method.Uses.HasFlag(CompressionUses.Energy))
            options.Add(string.Create(CultureInfo.InvariantCulture, $"`--energy {method.DefaultEnergy}`"));
        if (method.Uses.HasFlag(CompressionUses.Data))
            options.Add("`--data`");
        options.AddRange(method.Settings.Select(setting => $"`{setting.Name}`"));
        return string.Join(", ", options);
    }
}
