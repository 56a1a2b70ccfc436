using System.Globalization;
using System.Text;
using Spectral.Training.Merging;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>
/// <c>docs/merging.md</c> is generated from the merge methods' own descriptions. After a change of a method, run this
/// test with SPECTRAL_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class MergingDocumentTests
{
    [Test]
    public void TheDocumentIsWhatTheMethodsSay() => GeneratedDocument.Verify("merging.md", Document());

    [Test]
    public void EveryMethodSaysWhatItIsForAndWhereItIsFrom() => GeneratedDocument.VerifyDescriptions(MergeMethods.All);

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Merge methods

            `spectral merge --method NAME --model BASE --input DIR[=weight] --input DIR[=weight] … --out DIR` makes one
            model of several. An input is an adapter of any method, rank and targets, or a whole checkpoint tuned from
            the base. `spectral merge --list` shows the table below, and `--list --method NAME` everything about one
            method. A test writes this file from the methods' own descriptions.

            θ0 is the base, θ_i an input, τ_i = θ_i − θ0 its change and w_i its weight: the number behind the folder, or
            in `--weights`; 1 where none is given. An adapter counts as its dense change s·L·C·R, with the rank
            and the scale that its files give each layer (`rank_pattern`, `alpha_pattern`, `use_rslora`).

            Tensors are read piece by piece, sums are F32, and the result has the types and the files of the base.
            Tensors that no input changes are copied bit for bit. `--layers 0-7,12` merges these decoder layers alone.
            `--as-adapter --rank R` writes the truncated SVD of each linear layer's change as a plain LoRA and prints
            what it lacks. Where a paper gives the idea but not every detail, the method is listed as *after* it, and
            the formula here is the one that runs.

            An input of another base is refused where its files tell: adapters of this library's own types hold digests
            of the base's tensors, and names and shapes of tensors have to agree. A checkpoint does not say what it was
            tuned from. So a warning comes if its weights point elsewhere than the base's (cosine below 0.5); otfusion,
            which aligns models first, gives none.

            ## PEFT's `add_weighted_adapter`

            | `combination_type` | here |
            | --- | --- |
            | `cat` | `--method linear --as-adapter --rank R`, R the sum of the ranks |
            | `svd` | `--method linear --as-adapter --rank R`; PEFT's R is the largest rank unless `svd_rank` is given |
            | `ties_svd` | `--method ties --density D --as-adapter --rank R` |
            | `dare_linear_svd` | `--method dare-linear --density D --as-adapter --rank R` |
            | `dare_ties_svd` | `--method dare-ties --density D --as-adapter --rank R` |
            | `magnitude_prune_svd` | `--method magnitude --density D --as-adapter --rank R` |
            | `linear` | `--method linear --factors` |
            | `ties` | `--method ties --density D --factors` |
            | `dare_linear` | `--method dare-linear --density D --factors` |
            | `dare_ties` | `--method dare-ties --density D --factors` |
            | `magnitude_prune` | `--method magnitude --density D --factors` |

            `majority_sign_method` is `--set vote=magnitude` for `total` and `--set vote=count` for `frequency`. Weights
            may be negative (`--weights 1,-0.5`). There is no `svd_clamp`.

            `--factors` merges A with A and B with B, as PEFT's types without `svd` do: an input with weight w and scale
            s counts sign(w s) √|w s| in A and √|w s| in B, and the result has scale 1. Signs and sizes are then those
            of the factors, and B A has cross terms between the inputs: `linear` of two equal adapters with weights 1 is
            four times one of them, not twice. Inputs have to be plain LoRAs of linear layers, of the same rank wherever
            both have a layer. Without `--factors` ranks, scales, targets and kinds of adapters may differ.

            In three points numbers differ from PEFT 0.20. Its `…_svd` types multiply by the scale of an adapter
            twice, once in its change and once in its weight: give w·s as the weight for the same result. Its result
            keeps `use_rslora` of the first adapter, and so has the scale √r if that is set; here it is 1. With a single
            adapter PEFT always takes `linear`.

            ## Options

            Methods with `--data FILE` run the models on records (`--batch`, `--max-length` as in `spectral eval`), in
            F32. Some want the records of each input's own task, in one file for each input and in the order of the
            inputs; the others take the records of all files together.

            auto-flexswitch makes no model: it writes a folder of experts, the packed inputs, of which each prompt
            chooses one. `spectral eval --adapter DIR` loads each of them once, with the records that chose it, and
            prints how many it took; `spectral generate --adapter DIR` loads the one for its prompt. A record with
            `prompt` and `completion` chooses by its prompt, a plain text by all of itself. The folder of each expert is
            an adapter of its own, and [compression.md](compression.md#folders-of-experts) describes the files.

            `--eval TASK=FILE`, once for each task, measures the base, each input alone and the merge: the loss and
            exact match of `spectral eval`, and what is kept of the task's gain. The gain is the loss of the base less
            that of the best single input on the task, its expert; what a model keeps is its own gain divided by that:
            100 % is as good as the expert, 0 % as the base. A task on which no input is better than the base has
            nothing to keep. `--method all` measures every method that suits the inputs and options and says why the
            others are left out. Options that only some methods have, such as `--density`, go to those. `--page FILE`
            writes the table as a page, which is replaced after each merge. Without `--out`, each result goes to the
            system's temporary folder (`TMPDIR`), is measured and removed, so that disk and device hold one at a time.

            ## Methods

            Methods that decompose or multiply matrices name the processor time that they take on the CPU device for a
            weight of 4096 × 4096 and two inputs. It was measured at 1024 × 1024 on a busy Xeon and scaled by the cube,
            so that it tells their order of magnitude. An 8B model has more than 200 such weights, of which all that
            the inputs change are merged; `--layers` takes fewer. All others but those with `--data` take a few times as
            long as reading the inputs.

            | method | inputs | order matters | options | source |
            | --- | --- | --- | --- | --- |

            """
        );
        foreach (MergeMethod method in MergeMethods.All)
            text.Append(Row(method));
        foreach (MergeMethod method in MergeMethods.All)
            text.Append(GeneratedDocument.Section(method, remark: method.Cost, texts: method.TextSettings));
        return text.ToString();
    }

    private static string Row(MergeMethod method)
    {
        string inputs = method.MostInputs switch
        {
            int.MaxValue => $"{method.LeastInputs} or more",
            var most when most == method.LeastInputs => $"{most}",
            var most => $"{method.LeastInputs} to {most}",
        };
        return $"| [{method.Name}](#{method.Name}) | {inputs} | {(method.DependsOnOrder ? "yes" : "no")} | "
            + $"{string.Join(", ", Options(method))} | {method.Origin} |\n";
    }

    private static IEnumerable<string> Options(MergeMethod method)
    {
        if (method.Uses.HasFlag(MergeUses.Weights))
            yield return "`--weights`";
        if (method.Uses.HasFlag(MergeUses.Density))
            yield return string.Create(CultureInfo.InvariantCulture, $"`--density {method.DefaultDensity}`");
        if (method.Uses.HasFlag(MergeUses.Seed))
            yield return "`--seed`";
        if (method.MergesFactors)
            yield return "`--factors`";
        if (method.Data != MergeData.None)
            yield return method.Data == MergeData.PerInput ? "`--data` for each input" : "`--data`";
    }
}
