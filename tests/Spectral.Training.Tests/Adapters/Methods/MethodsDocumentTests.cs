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
        Assert.Multiple(() =>
        {
            foreach (AdapterMethod method in AdapterMethods.All)
            {
                Assert.That(method.Use, Does.EndWith("."), method.Name);
                Assert.That(method.Source, Is.Not.Empty.And.Not.Contain("|"), method.Name);
                Assert.That(method.Formula, Is.Not.Empty.And.Not.Contain("\n").And.Not.Contain("`"), method.Name);
            }
        });

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
            text.Append(Paragraph(method));
        return text.ToString();
    }

    private static string Row(AdapterMethod method)
    {
        var facts = MethodFacts.Of(method, MethodFacts.OneLayer, new AdapterOptions());
        string rebuilt = facts.RebuildsWeight ? " + W′" : "";
        string after = method.IsPublishedForm ? "" : "after ";
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
                + $"| {mergeable} | {method.PeftType} | {after}{method.Source} |\n"
        );
    }

    private static string Paragraph(AdapterMethod method)
    {
        var text = new StringBuilder($"\n## {method.Name}\n\n");
        text.Append(
            GeneratedDocument.Wrap(
                method.IsPublishedForm
                    ? $"`{method.Formula}`"
                    : $"After {method.Name} ({method.Source}); form as implemented: `{method.Formula}`"
            )
        );
        string source = method.IsPublishedForm ? $" Source: {method.Source}." : "";
        text.Append('\n').Append(GeneratedDocument.Wrap(method.Use + source));
        if (method.Settings.Count > 0)
            text.Append('\n');
        foreach (AdapterSetting setting in method.Settings)
        {
            string option = $"`--set {setting.Name}={setting.Describe(setting.Default)}`";
            text.Append(GeneratedDocument.Wrap($"* {option} ({setting.Expected}): {setting.Help}", indent: "  "));
        }

        return text.ToString();
    }
}
