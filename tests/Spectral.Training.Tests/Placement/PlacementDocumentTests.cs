using System.Text;
using Spectral.Training.Placement;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Placement;

/// <summary>
/// <c>docs/placement.md</c> is generated from the placement methods' own descriptions. After a change of a method, run
/// this test with SPECTRAL_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class PlacementDocumentTests
{
    [Test]
    public void TheDocumentIsWhatTheMethodsSay() => GeneratedDocument.Verify("placement.md", Document());

    [Test]
    public void EveryMethodSaysWhatItIsForAndWhereItIsFrom() =>
        GeneratedDocument.VerifyDescriptions(PlacementMethods.All);

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Where to adapt, and how much

            `spectral place --method NAME --model BASE` chooses which layers get an adapter, and of which rank, before
            anything trains. It prints a table, and with `--out FILE` writes the ranks for `spectral finetune`:

                spectral place --method rdp --model BASE --data train.jsonl --rank 16 --out ranks.txt
                spectral finetune --model BASE --data train.jsonl --out run --adapter lora --rank 16 \
                  --rank-pattern @ranks.txt

            `spectral place --list` shows the table below, and `--list --method NAME` everything about one method. A
            test writes this file from the methods' own descriptions.

            The file has a line `NAME=RANK` for each layer that could be chosen (`--target`, within the decoder blocks).
            A layer of rank 0 gets no adapter. `--rank-pattern` and `--alpha-pattern` of any command take such a file
            behind an `@`; lines that begin with `#` are comments. As in PEFT, a layer's scale is its alpha divided by
            its own rank, so that a layer of twice the rank has half the scale unless `--alpha-pattern` or `--rslora`
            says otherwise. With `--init-adapter` the ranks are those of that adapter.

            `spafit` also says which layers train their bias. `--bias-out FILE` writes their names, one on a line, and
            `--bias @FILE` trains these biases and no others. In PEFT's terms such an adapter has `bias: all`, and its
            file has the biases that trained; PEFT keeps those of the base for the rest.

                spectral place --method spafit --model BASE --out ranks.txt --bias-out biases.txt
                spectral finetune --model BASE --data train.jsonl --out run --adapter lora \
                  --rank-pattern @ranks.txt --bias @biases.txt

            Methods that run the model take the first `--calibration-records` of each file; a search takes all unless it
            is given.

            Two adapter methods choose by themselves: `eva` gives ranks to the directions in which a layer's inputs
            vary, before training, and `adalora` takes ranks away during training ([methods.md](methods.md)).

            ## One located matrix

            Yang et al., "Fine-tuning Done Right in Model Editing", 2025, arXiv 2509.22072, put many facts into a model
            by fine-tuning one matrix in full. What matters besides the place is the order: passes over all records in
            mini-batches (breadth-first) instead of one record after the other until it is learned (depth-first). That
            is what `spectral finetune` does with `--epochs`. The adapter method `delta` trains a matrix in full and
            keeps its change apart:

                spectral place --method gist --model BASE --data edits.jsonl --eval edits.jsonl
                spectral finetune --model BASE --data edits.jsonl --out edited --adapter delta \
                  --target model.layers.2.mlp.down_proj --epochs 40 --batch 8 --lr 1e-3
                spectral eval --model BASE --adapter edited --data edits.jsonl
                spectral eval --model BASE --adapter edited --data known.jsonl
                spectral merge --model BASE --adapter edited --out edited-model

            The score of `gist` says how fast the loss falls at first with each layer. The authors tried each place
            instead; `mlp.down_proj` of a late layer is a usual choice. The second evaluation shows what was forgotten.

            ## Methods

            | method | needs | `--budget` counts | source |
            | --- | --- | --- | --- |

            """
        );
        foreach (PlacementMethod method in PlacementMethods.All)
        {
            text.Append(
                $"| [{method.Name}](#{method.Name}) | {Needs(method)} | {method.BudgetOf ?? "–"} | {method.Origin} |\n"
            );
        }

        foreach (PlacementMethod method in PlacementMethods.All)
            text.Append(GeneratedDocument.Section(method, Score(method)));
        return text.ToString();
    }

    private static string? Score(PlacementMethod method) =>
        method.ScoreOf is { } score ? $"The score of a layer: {score}." : null;

    private static string Needs(PlacementMethod method)
    {
        if (!method.RunsModel)
            return "the config of the model";
        return method.UsesValidation ? "`--data`, `--eval`" : "`--data`";
    }
}
