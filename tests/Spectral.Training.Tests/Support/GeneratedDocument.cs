using System.Text;
using System.Text.RegularExpressions;
using Spectral.Tests.Support;
using Spectral.Training.Settings;

namespace Spectral.Training.Tests.Support;

/// <summary>A document of <c>docs</c> that a test compares, or with SPECTRAL_UPDATE_DOCS=1 writes.</summary>
internal static partial class GeneratedDocument
{
    private const string Update = "SPECTRAL_UPDATE_DOCS";
    private const int Width = 120;

    /// <summary>Compares the copy of a document beside the tests with what it should be.</summary>
    public static void Verify(string name, string wanted)
    {
        if (Environment.GetEnvironmentVariable(Update) == "1")
        {
            File.WriteAllText(Path.Combine(Repository.Root, "docs", name), wanted);
            return;
        }
        Assert.That(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, name)).ReplaceLineEndings("\n"),
            Is.EqualTo(wanted),
            $"docs/{name} is stale: run this test once with {Update}=1"
        );
    }

    /// <summary>Checks that each method says what it is for and where it is from, in a form that tables hold.</summary>
    public static void VerifyDescriptions(IEnumerable<MethodDescription> methods) =>
        Assert.Multiple(() =>
        {
            foreach (MethodDescription method in methods)
            {
                Assert.That(method.Use, Does.EndWith("."), method.Name);
                Assert.That(method.Source, Is.Not.Empty.And.Not.Contain("|"), method.Name);
                Assert.That(method.Formula, Is.Not.Empty.And.Not.Contain("\n").And.Not.Contain("`"), method.Name);
            }
        });

    /// <summary>Returns the section about a method: its formula, use, source and settings.</summary>
    /// <param name="method">The method.</param>
    /// <param name="remark">A sentence that follows the use.</param>
    /// <param name="group">What stands before the names of settings on the command line.</param>
    /// <param name="texts">The settings whose values are text.</param>
    public static string Section(
        MethodDescription method,
        string? remark = null,
        string group = "",
        IReadOnlyList<TextSetting>? texts = null
    )
    {
        var text = new StringBuilder($"\n## {method.Name}\n\n");
        text.Append(
            Wrap(
                method.IsPublishedForm
                    ? $"`{method.Formula}`"
                    : $"After {method.Name} ({method.Source}); form as implemented: `{method.Formula}`"
            )
        );
        string[] sentences = [method.Use, remark ?? "", method.IsPublishedForm ? $"Source: {method.Source}." : ""];
        text.Append('\n').Append(Wrap(string.Join(' ', sentences.Where(sentence => sentence.Length > 0))));
        if (method.Settings.Count + (texts?.Count ?? 0) > 0)
            text.Append('\n');
        foreach (Setting setting in method.Settings)
        {
            string option = $"`--set {group}{setting.Name}={setting.Describe(setting.Default)}`";
            text.Append(Wrap($"* {option} ({setting.Expected}): {setting.Help}", indent: "  "));
        }

        foreach (TextSetting setting in texts ?? [])
        {
            string need = setting.IsRequired ? "required" : "optional";
            string option = $"`--set '{setting.Name}={setting.Placeholder}'`";
            text.Append(Wrap($"* {option} ({need}): {setting.Help}", indent: "  "));
        }

        return text.ToString();
    }

    /// <summary>Breaks a line where it would exceed the width, at spaces.</summary>
    private static string Wrap(string line, string indent = "")
    {
        var text = new StringBuilder();
        int used = 0;
        foreach (Match word in Words().Matches(line))
        {
            bool fits = used + 1 + word.Length <= Width;
            if (used > 0)
                text.Append(fits ? " " : $"\n{indent}");
            text.Append(word.Value);
            used = fits ? used + 1 + word.Length : indent.Length + word.Length;
        }
        return text.Append('\n').ToString();
    }

    /// <summary>
    /// What stands between spaces, with a sign behind it: at the beginning of a line it would mark a list.
    /// </summary>
    [GeneratedRegex("[^ ]+(?: [-+*=#>](?= ))*")]
    private static partial Regex Words();
}
