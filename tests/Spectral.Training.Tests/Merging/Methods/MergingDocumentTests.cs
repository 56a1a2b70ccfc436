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
            in `--weights`; 1 where none is given. An adapter counts as its dense change s·L·C·R, also where PEFT's
            `add_weighted_adapter` works on factors: PEFT's `linear`, `ties`, `dare_linear`, `dare_ties` and
            `magnitude_prune` treat A and B apart, so that cross terms between inputs appear; its `…_svd` types and
            `cat` work on the dense change, as here. PEFT's `cat` is `linear --as-adapter --rank R` with R the sum of
            the ranks; its `svd` is the same with a smaller rank.

            Tensors are read piece by piece, sums are F32, and the result has the types and the files of the base.
            Tensors that no input changes are copied bit for bit. `--layers 0-7,12` merges these decoder layers alone.
            `--as-adapter --rank R` writes the truncated SVD of each linear layer's change as a plain LoRA and prints
            what it lacks. Where a paper gives the idea but not every detail, the method is listed as *after* it, and
            the formula here is the one that runs.

            An input of another base is refused where its files tell: adapters of this library's own types hold digests
            of the base's tensors, and names and shapes of tensors have to agree. A checkpoint does not say what it was
            tuned from. So a warning comes if its weights point elsewhere than the base's (cosine below 0.5); otfusion,
            which aligns models first, gives none.

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

            | method | inputs | order matters | options | source |
            | --- | --- | --- | --- | --- |

            """
        );
        foreach (MergeMethod method in MergeMethods.All)
            text.Append(Row(method));
        foreach (MergeMethod method in MergeMethods.All)
            text.Append(GeneratedDocument.Section(method, texts: method.TextSettings));
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
        if (method.Data != MergeData.None)
            yield return method.Data == MergeData.PerInput ? "`--data` for each input" : "`--data`";
    }
}
