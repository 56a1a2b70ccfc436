using System.Globalization;
using System.Text;
using Spectral.Training.Adapters;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// <c>docs/methods.md</c> is generated from the methods' own descriptions. After a change of a method, run this test
/// with SPECTRAL_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class MethodsDocumentTests
{
    [Test]
    public void TheDocumentIsWhatTheMethodsSay() => GeneratedDocument.Verify("methods.md", Document());

    [Test]
    public void EveryMethodSaysWhatItIsForAndWhereItIsFrom() =>
        GeneratedDocument.VerifyDescriptions(AdapterMethods.All);

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Adapter methods

            `--adapter NAME` picks a method. `spectral methods --model DIR` shows the same table for a model and
            options, and `spectral methods --adapter NAME` shows everything about one method.
            `spectral compare --methods NAME,NAME` trains several on the same data. A test writes this file from the
            methods' own descriptions.

            The numbers are for one layer of 4096 × 4096 with the defaults (rank 8, alpha 16, top-k 8). *Extra forward*:
            the floating point operations that the adapter adds to the layer's forward pass; *+ W′*: in addition, the
            weight is recomputed once per step. *Merged*: whether a plain checkpoint can hold the result, *with a bias*
            if this takes a layer that has one; *LoRA*: whether a plain LoRA of PEFT can hold it too. Work that is done
            once per step is not counted. Where a paper gives the idea but not every detail, the method is listed as
            *after* it, and the formula here is the one that runs.

            | method | trains | extra forward | merged | in adapter files | source |
            | --- | ---: | ---: | --- | --- | --- |

            """
        );
        foreach (AdapterMethod method in AdapterMethods.All)
            text.Append(Row(method));
        foreach (AdapterMethod method in AdapterMethods.All)
            text.Append(GeneratedDocument.Section(method));
        return text.ToString();
    }

    private static string Row(AdapterMethod method)
    {
        var facts = MethodFacts.Of(method, MethodFacts.OneLayer, new AdapterOptions());
        string rebuilt = facts.RebuildsWeight ? " + W′" : "";
        string mergeable = facts switch
        {
            { IsMergeable: true, IsLowRank: true } => "yes, LoRA",
            { IsMergeable: true } => "yes",
            { WantsBias: true } => "with a bias",
            _ => "no",
        };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| [{method.Name}](#{method.Name}) | {facts.Trainable:N0} | {100 * facts.ExtraForward:0.###} %{rebuilt} "
                + $"| {mergeable} | {method.PeftType} | {method.Origin} |\n"
        );
    }
}
