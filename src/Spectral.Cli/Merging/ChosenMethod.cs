using Spectral.Training.Merging;

namespace Spectral.Cli.Merging;

/// <summary>A merge method with the options that it is to have.</summary>
internal sealed record ChosenMethod(MergeMethod Method, MergeOptions Options);
