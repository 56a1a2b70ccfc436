using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Returns what a filter makes of a value.</summary>
internal delegate object? Filter(object? value, Arguments arguments, Rendering rendering);
