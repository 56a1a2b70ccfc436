namespace Spectral.Training.Settings;

/// <summary>
/// What a method that is chosen by name says of itself: to the command, its lists and the documents.
/// </summary>
public abstract class MethodDescription
{
    /// <summary>The method's name on the command line, in lower case.</summary>
    public abstract string Name { get; }

    /// <summary>The formula as implemented, in one line.</summary>
    public abstract string Formula { get; }

    /// <summary>The paper: authors, title or number, year.</summary>
    public abstract string Source { get; }

    /// <summary>When to choose the method and what it costs, in a sentence or two.</summary>
    public abstract string Use { get; }

    /// <summary>
    /// Whether the form follows the published one. If not, the paper gives the idea but not every detail, and help and
    /// docs say "after NAME (paper); form as implemented: …".
    /// </summary>
    public virtual bool IsPublishedForm => true;

    /// <summary>One line for help and reports: formula and source.</summary>
    public string Summary =>
        IsPublishedForm ? $"{Formula} ({Source})" : $"after {Name} ({Source}); form as implemented: {Formula}";

    /// <summary>The source as a list shows it: "after" a paper that does not give every detail.</summary>
    public string Origin => IsPublishedForm ? Source : $"after {Source}";

    /// <summary>Settings that only this method has.</summary>
    public virtual IReadOnlyList<Setting> Settings => [];

    /// <summary>Returns the value of a setting: the one that is given, or the default.</summary>
    internal double ValueOf(string name, IReadOnlyDictionary<string, double> given) =>
        given.TryGetValue(name, out double value) ? value : Settings.First(setting => setting.Name == name).Default;
}
