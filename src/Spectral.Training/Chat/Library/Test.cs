using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Returns whether a value passes a test.</summary>
internal delegate bool Test(object? value, Arguments arguments, Rendering rendering);
